// Package anthropic holds the wire formats of Anthropic's messages API:
// request body → infer.Request, infer.Event → event, infer.Error → error body.
//
// It neither serves HTTP nor knows an engine. A streamed and a whole answer
// are built from the same pieces, so that they cannot drift apart.
//
// A field that the API documents is honoured, or refused where it would change
// the answer and is not available. These are accepted and have no effect,
// because the answer is right without them: thinking (a permission, which a
// model that does not think leaves unused), thinking blocks that are sent
// back, cache_control, citations, metadata, service_tier, inference_geo,
// speed, context_management, output_config.effort, betas and versions.
//
// max_tokens may be left out, unlike in the API: the answer is then bounded by
// the context only. The block of the system prompt that Claude Code uses for
// its billing is dropped: it changes with the first prompt and would make
// every session's prompt unique from its first line on.
package anthropic
