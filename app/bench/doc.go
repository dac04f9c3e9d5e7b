// Package bench measures what Samovar's own layers cost: the same work, on the
// same machine and in the same run, once through HTTP and once in the worker's
// raw loop over llama.cpp. Both run in the same worker, on the same weights: two
// processes that do the same differ by a tenth in how lucky they are with memory.
//
// The sides take turns, round by round, and which one begins
// changes with the round; so what drifts (clock speed, other tenants) meets
// both alike. The result is the median of the rounds' ratios. Rates count the
// tokens after the first, over the time in which all streams decode.
//
// Batch adds what happens when requests meet, and Resume what coming back to a prompt
// costs after its KV has left the pool.
//
// The package knows a base URL and some functions; who serves there, and how the
// functions reach the worker or end it, is its caller's business.
package bench
