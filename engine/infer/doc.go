// Package infer is the vocabulary that the server and the engine share: a
// Request goes in, a Stream of Events comes out, an Error says what went
// wrong and what to do about it, a Status says how the engine is.
//
// It imports nothing of ours and holds no behaviour beyond what its types need
// to be used safely, so that the server can be built and tested without an
// engine and an engine without a server.
package infer
