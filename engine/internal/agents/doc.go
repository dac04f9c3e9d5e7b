// Package agents knows who comes back: it gives requests their agents, remembers how
// each agent's conversation goes, explains why a request reused less of it than it
// could, and keeps the ledger of what was saved.
//
// Reuse never depends on it: that is a matter of content only (package kv). What it
// remembers survives in a [Memory], which may lose the last seconds of it.
//
// A [Registry] is safe for concurrent use: preparers claim, the worker's loop settles.
package agents
