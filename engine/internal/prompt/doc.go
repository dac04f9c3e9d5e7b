// Package prompt turns conversations into text for a model and a model's tokens
// back into text for people: chat templates on the way in, whole UTF-8
// characters and stop strings on the way out.
//
// Templates are Jinja, come with the model file and are untrusted input: their
// size, nesting, ranges and time are bounded here. What cannot be bounded in
// this process (a template that never returns keeps its goroutine) ends with
// the worker process.
//
// The package knows no model, no tokens' numbers and no llama.cpp: tokenising
// is the caller's.
package prompt
