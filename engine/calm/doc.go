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
// The other threads must not have it: the scheduler sleeps 3 µs before it takes a
// goroutine over from a thread that has just made it ready, and with the slack that is
// 5 ms for each hand-over between two goroutines (it made reading kept KV, at 1 ms a
// block, take 8).
package calm
