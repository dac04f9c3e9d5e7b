package engine

import (
	"context"
	"errors"
	"time"

	"samovar/engine/infer"
)

// drainFor is how long Stop lets requests go on that run.
const drainFor = 2 * time.Second

// orders are what users want of the engine. The engine's lock guards them.
type orders struct {
	stopped bool
	// end ends the run, leave asks the worker that there is to leave; nil if there is
	// none.
	end   context.CancelFunc
	leave func()
	// planned is why that worker was asked to; "" if it was not.
	planned string
	// changed is signalled when what is wanted has changed, moved is closed and replaced
	// when the state has.
	changed, moved chan struct{}
}

// planned ends a worker that was asked to leave so that another one takes its place.
type planned struct{ reason string }

func (p planned) Error() string { return p.reason }

// Settings are those of a worker that can be changed while requests run.
type Settings struct {
	ContextTokens int
	KVType        string
	KVBytes       int64
	Threads       int
}

// Start has the engine run, if it was stopped or has failed. It does not wait: see
// Status. Calling it twice is as good as once, as it is of Stop and Restart.
func (e *Engine) Start() {
	e.mu.Lock()
	e.orders.stopped = false
	if e.status.State == infer.StateStopped || e.status.State == infer.StateFailed {
		e.move(infer.StateStarting, "", "")
	}
	e.mu.Unlock()
	signal(e.orders.changed) // Serve may be about to wait, whatever the state
}

// Stop ends the engine's run: nothing is let in any more, what runs has a moment to end,
// everything is saved, and the worker leaves. It returns when the worker has.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	e.orders.stopped = true
	end := e.orders.end
	if end != nil && e.status.State != infer.StateDraining {
		e.move(infer.StateDraining, "It is being stopped.", "")
	}
	e.mu.Unlock()
	if end == nil {
		signal(e.orders.changed)
	} else {
		e.roster.shut(refusal(infer.Status{State: infer.StateStopped}))
		drained, stop := context.WithTimeout(ctx, drainFor)
		e.roster.emptied(drained)
		stop()
		end()
	}
	// Unless somebody starts it meanwhile.
	return e.await(ctx, func() bool { return e.status.State == infer.StateStopped || !e.orders.stopped })
}

// Restart has another worker take the place of the one that there is. Requests wait for
// it and go on there.
func (e *Engine) Restart(reason string) {
	e.mu.Lock()
	leave := e.orders.leave
	if leave != nil {
		e.orders.planned, e.orders.leave = reason, nil
	}
	e.mu.Unlock()
	if leave != nil {
		leave()
		return
	}
	e.Start()
}

// Apply changes settings, with another worker if they are others than before.
func (e *Engine) Apply(s Settings) {
	e.mu.Lock()
	c := &e.cfg
	now := Settings{ContextTokens: c.ContextTokens, KVType: c.KVType, KVBytes: c.KVBytes, Threads: c.Threads}
	c.ContextTokens, c.KVType, c.KVBytes, c.Threads = s.ContextTokens, s.KVType, s.KVBytes, s.Threads
	e.mu.Unlock()
	if s != now {
		e.Restart("The settings have changed.")
	}
}

// config returns the settings that the next worker gets.
func (e *Engine) config() Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg
}

// begin begins a run that end ends; it returns false if none is wanted.
func (e *Engine) begin(end context.CancelFunc) bool {
	e.mu.Lock()
	if e.orders.stopped {
		e.mu.Unlock()
		return false
	}
	e.orders.end = end
	if e.status.State != infer.StateStarting {
		e.move(infer.StateStarting, "", "")
	}
	now := e.status
	e.mu.Unlock()
	e.roster.shut(refusal(now))
	return true
}

// ended ends a run.
func (e *Engine) ended() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders.end()
	e.orders.end, e.orders.leave = nil, nil
}

// serving says which worker can be asked to leave, and how.
func (e *Engine) serving(leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders.leave, e.orders.planned = leave, ""
}

// left returns why the worker that has left was asked to, if it was.
func (e *Engine) left() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders.leave = nil
	if e.orders.planned == "" {
		return nil
	}
	return planned{e.orders.planned}
}

// pause waits until something else is wanted, or ctx is done.
func (e *Engine) pause(ctx context.Context) {
	select {
	case <-e.orders.changed:
	case <-ctx.Done():
	}
}

// move enters a state. The lock is held.
func (e *Engine) move(s infer.State, reason, hint string) {
	if e.status.State != s {
		e.status.Since = time.Now()
	}
	e.status.State, e.status.Reason, e.status.Hint = s, reason, hint
	close(e.orders.moved)
	e.orders.moved = make(chan struct{})
}

// await waits until wanted, which is called with the lock held, holds.
func (e *Engine) await(ctx context.Context, wanted func() bool) error {
	for {
		e.mu.Lock()
		holds, moved := wanted(), e.orders.moved
		e.mu.Unlock()
		if holds {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// asPlanned says whether a worker's end was wanted.
func asPlanned(err error) (reason string, ok bool) {
	var p planned
	ok = errors.As(err, &p)
	return p.reason, ok
}
