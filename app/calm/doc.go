// Package calm keeps the Go runtime out of the way of the cores that compute; its one
// function is called before all else.
//
// While any of a process's goroutines runs or waits in a system call, the runtime's
// monitor thread sleeps 20 µs at a time. Each time it wakes it takes a core from a
// thread of llama.cpp for some 10 µs, and all the others wait for that one at the next
// barrier: on two cores that cost 6 to 11 % of decoding. Linux lets a thread's timers
// be late by a slack, 50 µs by default; with 5 ms of it the monitor still does its work,
// and costs nothing that can be measured.
//
// Timers of ours can be late by as much. None needs more: the shortest that anything
// here waits by is the flush of tokens, and that counts steps, not timers.
//
// The cure is for the whole process and must come first: main calls Process before all
// else, and the worker inherits what it sets.
package calm
