// Package fit decides how large a context a model gets, so that it fits the memory that
// there is, and says how much it then takes.
//
// Parent and worker use it alike: the parent to know what a model will need before it
// makes room for it, the worker to size what it allocates. It is pure: facts of the
// model's file and numbers go in, and nothing of llama.cpp.
package fit
