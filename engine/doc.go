// Package engine is the parent's facade over the worker process that runs a
// model: Generate, Status and Models for the server, Serve for the service
// group. The worker may die at any time; nothing else dies with it.
//
// One goroutine, the supervisor inside Serve, owns the worker's life and the
// state machine stopped → starting → ready → (starting again | draining | failed). It
// spawns the worker, shakes hands, tells it what to load, and starts a new one
// when it dies: at once the first time, then after a growing pause, and no more
// once the restart budget is spent. A model that cannot be loaded is not tried
// again.
//
// Requests live in the roster, which outlives workers. It asks internal/admit who is
// let in, hands requests to the current link (the conversation with one worker), and
// keeps them for the next worker when one dies: an answer that had begun goes on behind
// its last token. A request is blamed for deaths only when it was alone. A watchdog ends
// workers that hang. Start, Stop and Restart are orders to the supervisor, and converge.
//
// The package contains no llama.cpp and must never link it: its libraries
// initialise, and can panic, at process start.
package engine
