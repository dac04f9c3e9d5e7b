package engine

import "samovar/engine/infer"

// Hold has all models begin stopped: they take no requests until they are started. It is
// for before Serve.
func (f *Fleet) Hold() {
	f.halt(true)
	for _, m := range f.members() {
		m.hold("It was not started yet.")
	}
}

// halt says whether models that join are stopped as the others are.
func (f *Fleet) halt(halted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halted = halted
}

// hold stops an engine that does not run.
func (e *Engine) hold(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.aim(toStop)
	e.end(infer.StateStopped, reason, hintStart)
}

// hintStart is what to do about an engine that is stopped.
const hintStart = "Start it: `samovar start`."
