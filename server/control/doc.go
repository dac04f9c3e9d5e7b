// Package control is Samovar's own API under /samovar/v1: what the window and
// scripts need to see how requests fare and where the KV pool goes.
//
// It knows the tracker of latencies, a function that returns the engine's status, and
// the engine's orders: start, stop, restart. Only stopping waits.
package control
