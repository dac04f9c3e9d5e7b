// Package control is Samovar's own API under /samovar/v1: what the window and
// scripts need to see how requests fare and where the KV pool goes.
//
// It only reads. It knows the tracker of latencies and a function that returns the
// engine's status; neither ever waits.
package control
