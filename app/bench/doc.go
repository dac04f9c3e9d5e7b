// Package bench measures what Samovar's own layers cost: the same work, on the
// same machine and in the same run, once through HTTP and once in the worker's
// raw loop over llama.cpp.
//
// Both sides stay loaded and take turns, round by round, and which one begins
// changes with the round; so what drifts (clock speed, other tenants) meets
// both alike. The result is the median of the rounds' ratios. Rates count the
// tokens after the first, over the time in which all streams decode.
//
// The package knows a base URL and a command; who serves there, and how the
// command is made, is its caller's business.
package bench
