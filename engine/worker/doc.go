// Package worker is the child process's side of the engine: it loads one model
// and runs the step loop that serves its requests. It joins packages that do
// not know each other: prompt (text), sched (what to compute next) and llama
// (computing), and speaks wire with the parent.
//
// # Goroutines
//
// One goroutine, the loop, owns the context, the samplers and every sequence;
// nobody else touches them. The reader takes frames from the parent and hands
// new requests to preparers, which render and tokenise beside the loop and put
// the result into its inbox; it waits for none of them, so that cancels and the
// parent's end are seen at once. Cancelling ends what is being prepared and sets
// a flag that the loop looks at before every step. The frames of one step
// leave in one write, by the loop itself: the parent always reads.
//
// Some times a second, and whenever a request enters another phase, a pulse tells the parent
// how the pool is and what each request is at (doing.go).
//
// The process ends when the parent's pipe does, in whatever state it is; and when what
// it computes can no longer be trusted (see health.go), with nothing of that kept.
package worker
