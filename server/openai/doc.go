// Package openai holds the wire formats of OpenAI's chat completions API:
// request body → infer.Request, infer.Event → chunk, infer.Error → error body.
//
// It neither serves HTTP nor knows an engine. A streamed and a whole answer
// are built from the same pieces, so that they cannot drift apart.
//
// A field that the API documents is honoured, or refused where it would change
// the answer and is not available. These are accepted and have no effect,
// because the answer is right without them: user, metadata, store,
// service_tier, parallel_tool_calls, prompt_cache_key, prompt_cache_retention,
// safety_identifier, reasoning_effort, verbosity, stream_options without
// stream, a message's name, and reasoning that is sent back.
package openai
