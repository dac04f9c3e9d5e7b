package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/resident"
	"samovar/engine/internal/wire"
)

// Power is how the machine fares.
type Power struct {
	OnBattery bool
	// Pressure is how scarce memory is: "normal", "warn" or "critical"; "" if unknown.
	Pressure string
}

var pressures = map[string]resident.Pressure{"normal": resident.Normal, "warn": resident.Warn, "critical": resident.Critical}

// reliefs says what is done on each rung.
var reliefs = map[resident.Rung]string{
	resident.Evict:  "Idle agents have left the pool; they are kept on disk.",
	resident.Shrink: "Idle agents have left the pool, and caches are empty; all is kept on disk.",
	resident.Refuse: "New requests are refused until memory is free.",
	resident.Unload: "New requests are refused, and models without requests are unloaded.",
}

// ladder is where the fleet stands on the ladder that it climbs when memory is scarce.
type ladder struct {
	at    resident.Rung
	since time.Time
}

// SetPower says how the machine fares. It does not wait for what follows from it.
func (f *Fleet) SetPower(p Power) {
	f.mu.Lock()
	f.power = p
	f.mu.Unlock()
	f.changed()
}

// Woke is to be called when the machine has slept: what was in its memory is made sure of.
// A worker that computes something else than before ends, and another takes its place.
func (f *Fleet) Woke(ctx context.Context, asleep time.Duration) {
	f.cfg.Log.Info("the machine has slept", "for", asleep.Round(time.Second).String())
	for _, m := range f.members() {
		if m.snapshot().State == infer.StateReady {
			c, err := m.try(ctx)
			f.cfg.Log.Info("the engine was tried after the sleep", "model", m.id, "deviation", c.Deviation, "err", err)
		}
	}
}

// tryWithin is how long a worker may take to show what it computes.
const tryWithin = 30 * time.Second

// try has the worker show what it computes. One that does not is replaced.
func (e *Engine) try(ctx context.Context) (infer.Canary, error) {
	within, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	c, err := query[infer.Canary](within, e, wire.Query{Op: wire.OpCanary})
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		e.Restart("It did not answer after the machine had slept.")
	}
	return c, err
}

// climb goes up or down the ladder, and says when to look again; 0 is when something has
// changed. The lock is held.
func (f *Fleet) climb(now time.Time) time.Duration {
	next, after := resident.Climb(f.ladder.at, pressures[f.power.Pressure], now.Sub(f.ladder.since))
	if next == f.ladder.at {
		return after
	}
	f.ladder = ladder{at: next, since: now}
	f.cfg.Log.Warn("memory is scarce on this machine", "pressure", f.power.Pressure, "relief", reliefs[next])
	f.refusing = nil
	if next >= resident.Refuse {
		f.refusing = &infer.Error{Code: infer.CodeOverloaded, Shed: infer.ShedMemory, RetryAfter: retryScarce,
			Message: "This machine is short of memory.", Hint: fmt.Sprintf("Try again in %d s, or close other programs.", int(retryScarce.Seconds()))}
	}
	for _, m := range f.all {
		m.trim(min(next, resident.Shrink))
	}
	return after
}

// retryScarce is when a request that was refused for want of memory makes sense again.
const retryScarce = 15 * time.Second

// memory describes the budget. The lock is held.
func (f *Fleet) memory() infer.Memory {
	m := infer.Memory{Budget: f.budget(0), Pressure: f.power.Pressure, Relief: reliefs[f.ladder.at], OnBattery: f.power.OnBattery}
	for _, o := range f.all {
		m.Taken += o.bytes
	}
	return m
}

// trim has the worker, if there is one, let go of memory as far as a rung says.
func (e *Engine) trim(to resident.Rung) {
	if l := e.roster.current(); l != nil {
		if frame, err := wire.Append(nil, wire.KindTrim, wire.Trim{Idle: to >= resident.Evict, Caches: to >= resident.Shrink}); err == nil {
			l.offer(frame) // a lock is held
		}
	}
}
