package engine

import (
	"fmt"
	"sync"
	"time"

	"samovar/engine/internal/wire"
)

// When a worker that has requests is taken for hung: it does not answer, as one that is
// stopped or whose machine is in trouble, or it answers and a step does not end, or none
// begins. Steps are bounded; the longest known take some seconds, as does reading what is
// kept of a prompt.
const (
	watchEvery   = time.Second
	answerWithin = 10 * time.Second
	stepWithin   = 2 * time.Minute
)

// watchdog asks a worker that has requests whether it lives. Between its looks nothing
// happens, and an idle worker is not woken.
type watchdog struct {
	ping func() (sent bool)
	busy func() bool
	kill func()

	mu sync.Mutex
	// asked is when the worker was asked what it has not answered; zero if nothing.
	asked time.Time
	// step is how long what it does took when it answered last.
	step time.Duration
	// steps is how many it had made then, moved since when it has not made another.
	steps uint64
	moved time.Time
	hung  string
}

// look is to be called now and then.
func (w *watchdog) look(now time.Time) {
	if !w.busy() {
		w.mu.Lock()
		w.asked, w.moved = time.Time{}, time.Time{}
		w.mu.Unlock()
		return
	}
	w.mu.Lock()
	if w.moved.IsZero() {
		w.moved = now
	}
	waiting := !w.asked.IsZero()
	if !waiting {
		w.asked = now
	}
	switch {
	case waiting && now.Sub(w.asked) >= answerWithin:
		w.hung = fmt.Sprintf("it did not answer for %v", answerWithin)
	case w.step >= stepWithin:
		w.hung = fmt.Sprintf("a step did not end for %v", stepWithin)
	case now.Sub(w.moved) >= stepWithin:
		w.hung = fmt.Sprintf("it had requests and did nothing for %v", stepWithin)
	}
	hung := w.hung != ""
	w.mu.Unlock()
	switch {
	case hung:
		w.kill()
	case !waiting:
		w.ping()
	}
}

// answered is told of an answer.
func (w *watchdog) answered(p wire.Pong, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Steps != w.steps {
		w.steps, w.moved = p.Steps, now
	}
	w.asked, w.step = time.Time{}, time.Duration(p.StepSeconds*float64(time.Second))
}

// verdict is why the worker was killed; "" if it was not.
func (w *watchdog) verdict() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hung
}

// run looks until done is closed.
func (w *watchdog) run(done <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			w.look(now)
		case <-done:
			return
		}
	}
}
