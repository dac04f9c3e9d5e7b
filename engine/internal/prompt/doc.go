// Package prompt turns conversations into text for a model and a model's tokens
// back into text for people: chat templates on the way in, whole UTF-8
// characters and stop strings on the way out.
//
// Templates are Jinja, come with the model file and are untrusted input. They are
// rewritten before the Jinja library compiles them (translate.go): to render as
// in transformers, and so that their size, nesting, loops, calls, values, output
// and time are bounded (guard.go). A rendering runs on the caller's goroutine
// and leaves none behind. What remains, such as one expression that joins huge
// texts over and over, can take memory and time that only the end of the process
// gives back: that is one reason why all this runs in the worker.
//
// The package knows no model, no tokens' numbers and no llama.cpp: tokenising
// is the caller's.
package prompt
