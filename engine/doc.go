// Package engine is the parent's facade over the worker processes that run models:
// Generate, Overview and Models for the server, Serve for the service group. A worker may
// die at any time; nothing else dies with it.
//
// A Fleet serves several models within one budget of memory, each through an Engine. An
// Engine asks the Fleet for room before it loads; the Fleet asks package resident who
// leaves for it, and has the memory of the machine watched (Power).
//
// One goroutine of an Engine, the supervisor inside Serve, owns its worker's life and the
// state machine (stopped | unloaded) → starting → ready → (starting again | draining |
// failed). It spawns the worker, shakes hands, tells it what to load, and starts a new one
// when it dies: at once the first time, then after a growing pause, and no more once the
// restart budget is spent. A model that cannot be loaded is not tried again; settings that
// cannot are taken back. Every change of state is told, with its reason, to whoever
// watches Transitions.
//
// Requests live in the roster, which outlives workers. It asks internal/admit who is
// let in, hands requests to the current link (the conversation with one worker), and
// keeps them for the next worker when one dies or is unloaded: an answer that had begun
// goes on behind its last token. A request is blamed for deaths only when it was alone. A
// watchdog ends workers that hang. Start, Stop, Unload and Restart are orders to the
// supervisor, and converge.
//
// Progress says what each request is at, and why it waits: the worker tells it with its
// pulses, the roster knows those that no worker has and what was delivered since, and the
// Engine why there is no worker. Nobody is asked for it.
//
// The package contains no llama.cpp and must never link it: its libraries
// initialise, and can panic, at process start.
package engine
