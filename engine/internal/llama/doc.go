// Package llama is the only package that touches llama.cpp, through the binding
// github.com/hybridgroup/yzma. It loads the libraries, models and contexts,
// and offers the few operations that the worker's step loop is made of.
//
// llama.cpp answers a broken precondition with abort(), an exception that
// nothing catches, or a segmentation fault. Every such precondition that we
// know (ENGINE.md §9 has the measurements) is checked here before the call, and
// comes back as a Go error. What we don't know is why the package may only be
// linked into the worker process.
//
// Nothing here is safe for concurrent use but Model.Tokenize, Model.Piece and
// the plain facts of a Model: one goroutine owns each Context and the Samplers
// used with it.
package llama
