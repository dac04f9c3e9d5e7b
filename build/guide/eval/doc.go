// Package eval measures the built-in guide model: it asks a running
// OpenAI-compatible server the held-out questions and has the recall
// conversations with it, judges the answers by the patterns beside the
// questions, and reports two scores.
//
// The questions are written by somebody who never read the guide's corpus, and
// the rule that makes an answer acceptable stands in README.md. Nothing here
// knows how the guide is made or served, and nothing of Samovar is imported:
// any endpoint can be measured.
package eval
