// Package latency records what happens to each request for a generation, and sums
// it up: the recent requests with their anatomy, HDR histograms over the last
// second, minute and quarter of an hour for each model and surface, and a feed for
// those who watch.
//
// What a request is at while it runs, and why it waits, the engine knows: Learn takes it
// whenever somebody looks, and a record says it until the request ends.
//
// It measures what a client sees: arrival is the request's at the server, and a
// token has arrived when it was handed to the connection. A gap between tokens is
// one between events; tokens that come together (a slow reader, or a character of
// several tokens) make one gap. Queue, restore and prefill are the engine's own
// measurements.
//
// The package is pure: time is passed in. It knows nothing of HTTP; a status is a
// number to it. All methods may be called from any goroutine, none ever waits.
package latency
