// Package sched decides what the next step computes: Plan takes the sequences
// that are active, what a step may cost and the time, and returns the rows.
//
// It is pure. No goroutine, clock, lock or native call is in it, and it knows
// nothing of models, KV or prompts, so that its promises (the budget is never
// exceeded, nothing starves, every decoding sequence gets its row) are held by
// property tests.
package sched
