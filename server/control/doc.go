// Package control is Samovar's own API under /samovar/v1: what the window and
// scripts need to see how requests fare and where the KV pool goes.
//
// It knows the tracker of latencies, the engine's overview, how far its requests are, which
// it has the tracker learn whenever somebody looks, and its orders: start, stop,
// unload, restart, pin, for one model or all. Only stopping and unloading wait.
package control
