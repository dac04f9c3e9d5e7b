package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/admit"
)

// Engine serves one model through one worker. Create it with New, run it with
// Serve; the other methods may be called at any time from any goroutine.
type Engine struct {
	cfg Config
	// path is the model's file; only the supervisor touches it.
	path string

	roster *roster
	// queries numbers them.
	queries atomic.Uint64

	mu     sync.Mutex
	status infer.Status
	orders orders
	// worked are the last settings that a worker was ready with; nil before.
	worked *Settings
	// reserved says that there is room for the model with the settings reservedFor, granted
	// what it may take; drained is since when it leaves.
	reserved    bool
	reservedFor Settings
	granted     int64
	drained     time.Time
	// asking says that the model waits for room, squeezed what for, if that takes a while.
	asking   bool
	squeezed string
	// replaced is why the worker is replaced, if it is; loads is since when one loads.
	replaced string
	loads    time.Time
}

// New returns an inert Engine.
func New(cfg Config) *Engine {
	state, goal := infer.StateStarting, toRun
	if cfg.OnDemand {
		state, goal = infer.StateUnloaded, toUnload
	}
	limits := admit.Config{MaxRequests: cmp.Or(cfg.QueueMax, DefaultQueueMax), MaxWait: cmp.Or(cfg.QueueWait, DefaultQueueWait)}
	e := &Engine{cfg: cfg, path: cfg.Model.Path, roster: newRoster(limits, cfg.Wanted, cfg.Idle), status: infer.Status{
		State: state, Since: time.Now(), Model: infer.Model{ID: cfg.Model.ID},
	}, orders: orders{goal: goal, changed: make(chan struct{}, 1), moved: make(chan struct{})}}
	if cfg.OnDemand {
		e.roster.shut(nil) // Serve may not have begun yet
	}
	return e
}

// Status returns a snapshot. It never blocks on the worker.
func (e *Engine) Status() infer.Status {
	s := e.snapshot()
	e.roster.fill(&s, time.Now())
	return s
}

func (e *Engine) snapshot() infer.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// Models returns what can be asked for.
func (e *Engine) Models() []infer.Model {
	return []infer.Model{e.snapshot().Model}
}

// acceptWithin is how long Generate waits for a worker. After that the stream is
// returned all the same, so that a client that streams can be shown a sign of life; what
// refuses the request then comes from Next.
const acceptWithin = 8 * time.Second

// Generate hands a request to the worker and returns once it is accepted: its
// prompt is tokenised and fits. While there is no worker, that is when
// the next one accepts it, but no later than acceptWithin. ctx is the request's life: when it is done the
// generation is cancelled. Errors are *infer.Error, or ctx's.
func (e *Engine) Generate(ctx context.Context, r infer.Request) (infer.Stream, error) {
	if err := e.known(r.Model); err != nil {
		return nil, err
	}
	e.mu.Lock()
	err := e.refusal()
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s, err := e.roster.add(r)
	if err != nil {
		return nil, err
	}
	stopWatching := context.AfterFunc(ctx, s.Close)
	late := time.NewTimer(acceptWithin)
	defer late.Stop()
	select {
	case <-s.answered:
	case <-late.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.failure(); err != nil {
		stopWatching()
		return nil, err
	}
	return &watched{stream: s, stopWatching: stopWatching}, nil
}

// known refuses the name of a model that is not served here.
func (e *Engine) known(name string) error {
	if e.answersTo(name) {
		return nil
	}
	return &infer.Error{Code: infer.CodeModelNotFound, Param: "model",
		Message: fmt.Sprintf("The model %q is not served here.", name),
		Hint:    fmt.Sprintf("Ask for %q, or leave the model out.", e.cfg.Model.ID)}
}

// answersTo says whether a name means this model.
func (e *Engine) answersTo(name string) bool {
	return name == "" || name == e.cfg.Model.ID || slices.Contains(e.cfg.Model.Aliases, name)
}

// refusal is why the engine takes no requests, or nil. One that is on its way out or in
// because of its memory takes them. The lock is held.
func (e *Engine) refusal() error {
	switch e.status.State {
	case infer.StateStarting:
		if e.cfg.OnDemand {
			return nil
		}
	case infer.StateDraining:
		if e.orders.goal != toStop {
			return nil
		}
	}
	return refusal(e.status)
}

// refusal is why an engine of that status takes no requests, or nil. One that has
// served and is being started again takes them: they wait for the next worker.
func refusal(s infer.Status) error {
	switch s.State {
	case infer.StateReady, infer.StateUnloaded:
		return nil
	case infer.StateStarting:
		if s.LoadTime > 0 {
			return nil
		}
		return &infer.Error{Code: infer.CodeStarting, RetryAfter: time.Second,
			Message: strings.TrimSpace(fmt.Sprintf("The model is loading (%.0f %%). %s", 100*s.Progress, s.Reason)), Hint: "Try again in a moment."}
	case infer.StateFailed:
		return &infer.Error{Code: infer.CodeFailed, Message: "The engine has failed: " + s.Reason, Hint: s.Hint}
	default:
		return &infer.Error{Code: infer.CodeStopped, Message: "The engine is stopped."}
	}
}

// watched is a stream that stops watching its request's context when it is closed.
type watched struct {
	*stream
	stopWatching func() bool
}

// Close implements infer.Stream.
func (w *watched) Close() {
	w.stopWatching()
	w.stream.Close()
}
