package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"samovar/engine/infer"
)

// drainFor is how long Stop lets requests go on that run.
const drainFor = 2 * time.Second

// goal is what users, or memory, want of an engine.
type goal int

const (
	// toRun: a worker, as soon as there can be one.
	toRun goal = iota
	// toUnload: no worker, until a request comes.
	toUnload
	// toStop: no worker, and no requests.
	toStop
)

// orders are what is wanted of the engine. The engine's lock guards them.
type orders struct {
	goal goal
	// end ends the run, leave asks the worker that there is to leave; nil if there is
	// none.
	end   context.CancelFunc
	leave func()
	// planned is why that worker was asked to; "" if it was not.
	planned string
	// changed is signalled when what is wanted has changed, moved is closed and replaced
	// when the state has.
	changed, moved chan struct{}
	// over says that Serve has returned: nothing is done any more.
	over bool
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

// Start has the engine run, if it was stopped, unloaded or has failed. It does not wait:
// see Status. Calling it twice is as good as once, as it is of the other orders.
func (e *Engine) Start(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rouse(reason)
}

// Wake is Start for an engine that is unloaded, or about to be. One that was stopped stays
// so, and one that has failed, too.
func (e *Engine) Wake(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.orders.goal == toUnload {
		e.rouse(reason)
	}
}

// rouse has the engine run. The lock is held.
func (e *Engine) rouse(reason string) {
	if e.orders.over {
		return
	}
	e.aim(toRun)
	switch e.status.State {
	case infer.StateStopped, infer.StateFailed, infer.StateUnloaded:
		e.move(infer.StateStarting, "", "", reason)
	}
	e.roster.shut(e.refusal())
	signal(e.orders.changed) // Serve may be about to wait, whatever the state
}

// aim says what is wanted. The lock is held.
func (e *Engine) aim(g goal) {
	if e.orders.goal != g {
		e.orders.goal = g
		e.stir()
	}
}

// Stop ends the engine's run: nothing is let in any more, what runs has a moment to end,
// everything is saved, and the worker leaves. It returns when the worker has.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	e.aim(toStop)
	end := e.drain("It is being stopped.")
	if end != nil {
		e.roster.shut(refusal(infer.Status{State: infer.StateStopped}))
	}
	e.mu.Unlock()
	if end == nil {
		signal(e.orders.changed)
	} else {
		drained, cancel := context.WithTimeout(ctx, drainFor)
		e.roster.emptied(drained)
		cancel()
		end()
	}
	// Unless somebody starts it meanwhile.
	return e.await(ctx, func() bool { return e.status.State == infer.StateStopped || e.orders.goal != toStop })
}

// Unload frees what the model takes until a request comes for it. Everything is saved;
// requests that run go on when it is loaded again. It returns when the worker has left.
// An engine that was stopped, or has failed, is ready for requests again.
func (e *Engine) Unload(ctx context.Context, reason string) error {
	e.mu.Lock()
	return e.unload(ctx, reason)
}

// Yield is Unload for an engine that runs: one that was stopped meanwhile, or has failed,
// stays so.
func (e *Engine) Yield(ctx context.Context, reason string) error {
	e.mu.Lock()
	if e.orders.goal != toRun || e.orders.end == nil {
		e.mu.Unlock()
		return nil
	}
	return e.unload(ctx, reason)
}

// unload is called with the lock held, and unlocks it.
func (e *Engine) unload(ctx context.Context, reason string) error {
	e.aim(toUnload)
	end := e.drain(reason)
	e.mu.Unlock()
	if end == nil {
		signal(e.orders.changed)
	} else {
		end()
	}
	return e.await(ctx, func() bool { return e.status.State == infer.StateUnloaded || e.orders.goal != toUnload })
}

// drain returns what ends the run, if there is one. The lock is held.
func (e *Engine) drain(reason string) context.CancelFunc {
	if e.orders.end != nil && e.status.State != infer.StateDraining {
		e.drained = time.Now()
		e.move(infer.StateDraining, reason, "", reason)
	}
	return e.orders.end
}

// retryFailed is after how long a model that could not be loaded is tried again, if it is
// asked for: what it lacked may be there.
const retryFailed = 30 * time.Second

// retry has an engine that failed take requests again, if it is one that is loaded on
// demand and some time has passed.
func (e *Engine) retry(ctx context.Context) {
	e.mu.Lock()
	due := e.cfg.OnDemand && e.status.State == infer.StateFailed && time.Since(e.status.Since) >= retryFailed
	if due {
		e.aim(toUnload)
	}
	e.mu.Unlock()
	if due {
		signal(e.orders.changed)
		_ = e.await(ctx, func() bool { return e.status.State != infer.StateFailed }) // else the request fails
	}
}

// admit has a stopped engine take requests again, without loading its model yet.
func (e *Engine) admit() {
	e.mu.Lock()
	if e.orders.goal == toStop {
		e.aim(toUnload)
	}
	e.mu.Unlock()
	signal(e.orders.changed)
}

// says puts what a load waits for into the status.
func (e *Engine) says(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.squeezed = what
	if e.status.State == infer.StateStarting && e.status.Reason != what {
		e.move(infer.StateStarting, what, "", cmp.Or(what, "There is room for it."))
	}
}

// Restart has another worker take the place of the one that there is. Requests wait for
// it and go on there.
func (e *Engine) Restart(reason string) {
	e.mu.Lock()
	leave := e.orders.leave
	if e.orders.goal != toRun {
		leave = nil // it leaves already
	}
	if leave != nil {
		e.orders.planned, e.orders.leave = reason, nil
	}
	e.mu.Unlock()
	if leave != nil {
		leave()
		return
	}
	e.Start(reason)
}

// Apply changes settings, with another worker if they are others than before and there is
// one, or is to be. If the next worker cannot do with them, the ones that worked come back.
func (e *Engine) Apply(s Settings) {
	e.mu.Lock()
	now := e.cfg.settings()
	e.cfg.apply(s)
	runs := e.orders.goal == toRun
	e.mu.Unlock()
	if s != now && runs {
		e.Restart(changedSettings)
	}
}

const changedSettings = "The settings have changed."

func (c *Config) settings() Settings {
	return Settings{ContextTokens: c.ContextTokens, KVType: c.KVType, KVBytes: c.KVBytes, Threads: c.Threads}
}

func (c *Config) apply(s Settings) {
	c.ContextTokens, c.KVType, c.KVBytes, c.Threads = s.ContextTokens, s.KVType, s.KVBytes, s.Threads
}

// proven takes note that a worker does with the settings that there are.
func (e *Engine) proven(s Settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.worked = &s
}

// rollBack brings back the settings that worked, if others were tried.
func (e *Engine) rollBack(err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.worked == nil || e.cfg.settings() == *e.worked {
		return false
	}
	e.cfg.apply(*e.worked)
	reason := "The new settings do not work, so that the ones before are back: " + sentence(err)
	e.status.Reason = reason
	e.tell(e.status.State, reason, "")
	e.cfg.Log.Error("the new settings do not work; the ones before are back", slog.Any("err", err))
	return true
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
	defer e.mu.Unlock()
	if e.orders.goal != toRun {
		return false
	}
	e.orders.end, e.replaced, e.loads = end, "", time.Time{}
	if e.status.State != infer.StateStarting {
		e.move(infer.StateStarting, "", "", "It was started.")
	}
	e.roster.delay(time.Now().Add(e.status.LoadTime))
	e.roster.shut(e.refusal())
	return true
}

// ended ends a run.
func (e *Engine) ended() {
	e.mu.Lock()
	e.orders.end()
	e.orders.end, e.orders.leave = nil, nil
	if !e.drained.IsZero() && e.orders.goal != toStop { // a stop waits for requests
		e.status.UnloadTime = time.Since(e.drained)
	}
	e.drained = time.Time{}
	e.mu.Unlock()
	e.release()
}

// idle enters the state of an engine that is not to run. It may be to run again by now.
func (e *Engine) idle() {
	e.mu.Lock()
	switch e.orders.goal {
	case toStop:
		if e.status.State != infer.StateStopped {
			e.end(infer.StateStopped, "It was stopped.", hintStart)
		}
	case toUnload:
		e.status.WorkerPID, e.status.Progress = 0, 0
		if e.status.State != infer.StateUnloaded {
			e.move(infer.StateUnloaded, "", "It is loaded when it is asked for.", "It is unloaded.")
		}
		e.roster.shut(nil)
		e.mu.Unlock()
		e.roster.delay(time.Now()) // whoever comes has it loaded, however long that takes
		if waits, _ := e.roster.waits(); waits && e.cfg.Wanted != nil {
			e.cfg.Wanted()
		}
		return
	}
	e.mu.Unlock()
}

// serving says that a worker with those settings can be asked to leave, and how. If they
// were changed while it was loaded, it is.
func (e *Engine) serving(s Settings, leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders.leave, e.orders.planned = leave, ""
	if s != e.cfg.settings() {
		e.orders.leave, e.orders.planned = nil, changedSettings
		leave()
	}
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

// resigned says that the engine has failed and nothing else is wanted yet.
func (e *Engine) resigned() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status.State == infer.StateFailed && e.orders.goal == toRun
}

// pause waits until something else is wanted, or ctx is done.
func (e *Engine) pause(ctx context.Context) {
	select {
	case <-e.orders.changed:
	case <-ctx.Done():
	}
}

// move enters a state, whose status has a reason and a hint; why is the transition's. The
// lock is held.
func (e *Engine) move(s infer.State, reason, hint, why string) {
	if e.status.State != s || e.status.Reason != reason {
		e.tell(s, why, hint)
	}
	if e.status.State != s {
		e.status.Since = time.Now()
	}
	e.status.State, e.status.Reason, e.status.Hint = s, reason, hint
	e.stir()
}

// stir wakes all that await something. The lock is held.
func (e *Engine) stir() {
	close(e.orders.moved)
	e.orders.moved = make(chan struct{})
}

// tell tells of a transition to a state. The lock is held.
func (e *Engine) tell(to infer.State, why, hint string) {
	if e.cfg.Moved != nil {
		e.cfg.Moved(infer.Transition{At: time.Now(), Model: e.cfg.Model.ID, From: e.status.State, To: to, Reason: why, Hint: hint})
	}
}

// await waits until wanted, which is called with the lock held, holds, or can hold no more.
func (e *Engine) await(ctx context.Context, wanted func() bool) error {
	for {
		e.mu.Lock()
		holds, moved := wanted() || e.orders.over, e.orders.moved
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

// settle waits until an engine that is to run does, or does not.
func (e *Engine) settle(ctx context.Context) error {
	return e.await(ctx, func() bool {
		switch e.status.State {
		case infer.StateStarting:
			return false
		case infer.StateDraining: // it comes back
			return e.orders.goal != toRun
		}
		return true
	})
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
