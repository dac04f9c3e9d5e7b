// Package sse writes a stream of server-sent events: framing, flushing, and a
// deadline for every write, so that a client that stopped reading ends its own
// stream instead of holding it open.
//
// It knows no event's meaning. When to flush and what to send while nothing
// happens is up to the caller, who is also the only goroutine to use a Writer.
package sse
