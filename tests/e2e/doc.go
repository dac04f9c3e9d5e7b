// Package e2e tests the real thing: the samovar and samovar-engine executables,
// the staged engine libraries and the built-in guide, over HTTP.
//
// TestMain builds both executables (samovar with the race detector where there
// is a C compiler). Each test starts instances of its own, in folders of their
// own, on ports that the system chooses; every process ends with its test, and
// what it wrote is shown when the test fails. Tests wait for what they need
// with a deadline and never for a time to pass.
//
// The engine libraries come from `make setup`.
package e2e
