// Package shape writes GGUF files of a named architecture and size with random
// weights, so that anyone can measure the engine without a download. The files
// load, decode to finite logits and are the same on every machine: each chunk
// of weights comes from its own generator, seeded by the shape's name, the
// tensor's name and the chunk's number. They know nothing: what they say is
// noise. Nothing here is needed to run a real model.
package shape
