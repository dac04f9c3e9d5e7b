// Package checkup looks at what the engine needs, from outside and while it need not
// run: its executable and libraries, the memory for a model, and the KV that is kept.
// It starts no model, links no native library, and changes nothing but what a repair
// of the kept KV is asked to.
//
// What is right or wrong about a file of kept KV is decided where it is read
// (engine/internal/kv/store); what to say about it and what to do, by who asks.
package checkup
