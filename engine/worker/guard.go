package worker

import "sync"

// stepGuard ends a step early when most of it is for requests that are cancelled
// while it computes: a chunk of a prompt can take seconds.
type stepGuard struct {
	backend Backend

	mu               sync.Mutex
	rows             map[*ticket]int // of the step that computes; nil between steps
	total, cancelled int
}

// begin says whose rows the step has.
func (g *stepGuard) begin(rows map[*ticket]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows, g.total, g.cancelled = rows, 0, 0
	for _, n := range rows {
		g.total += n
	}
	for t := range rows {
		if t != nil && t.cancelled.Load() { // since the loop looked
			g.count(t)
		}
	}
}

// end says that the step has ended.
func (g *stepGuard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows = nil
	g.backend.Resume()
}

// cancel is told of a request that was cancelled, by any goroutine.
func (g *stepGuard) cancel(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count(t)
}

// count aborts the step once more than half of it is for nobody; less would take
// more from the others than it gives back. It is called with the lock held.
func (g *stepGuard) count(t *ticket) {
	n := g.rows[t]
	delete(g.rows, t) // a request counts once
	g.cancelled += n
	if n > 0 && 2*g.cancelled > g.total {
		g.backend.Abort()
	}
}
