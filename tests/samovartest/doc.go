// Package samovartest builds the executables and starts servers for the test
// packages beside it: what any of them needs before it can look at the product
// from outside. What a test asks of a server, and what it expects, stays with
// the test.
package samovartest
