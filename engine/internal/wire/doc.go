// Package wire is the protocol between the engine in the parent process and
// its worker (samovar-engine): frames over two pipes, the worker's stdin and
// its descriptor 3.
//
// # Frame
//
//	length  uint32, little endian: bytes of the body, at most MaxBody
//	kind    one byte, see Kind
//	body    JSON of the struct that belongs to the kind
//
// # Conversation
//
// The worker speaks first: Hello. The parent compares protocol and build
// version and answers Load. The worker sends Progress any number of times, then
// Ready or Failed. When ready, the parent sends Submit and Cancel at any time;
// for each Submit the worker answers either one Rejected, or Accepted, any
// number of Output and one Output with End (or Rejected, if the request failed
// while it ran). A cancelled request gets no further frames, but frames that
// were on their way may still arrive. The worker exits when its stdin ends.
//
// KV bytes never cross this boundary; only requests, text and numbers do.
package wire
