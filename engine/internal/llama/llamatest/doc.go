// Package llamatest is a deterministic stand-in for a llama.cpp model and
// context, for tests of what is built on package llama. It keeps the real
// thing's contract: rows must continue their sequence, cells are limited, only
// output rows can be sampled; and what it generates depends on the tokens of
// the sequence alone, so that a row that reaches the wrong sequence shows.
package llamatest
