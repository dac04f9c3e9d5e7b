package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/engine/infer"
)

// maxInFlight bounds the requests that one worker is given, running and
// waiting. More are shed with CodeOverloaded.
const maxInFlight = 256

// Engine serves one model through one worker. Create it with New, run it with
// Serve; the other methods may be called at any time from any goroutine.
type Engine struct {
	cfg Config
	// path is the model's file; only the supervisor touches it.
	path string

	mu     sync.Mutex
	status infer.Status
	link   *link // nil unless ready
	pace   pace
}

// New returns an inert Engine.
func New(cfg Config) *Engine {
	return &Engine{cfg: cfg, path: cfg.Model.Path, status: infer.Status{
		State: infer.StateStarting, Since: time.Now(), Model: infer.Model{ID: cfg.Model.ID},
	}}
}

// Status returns a snapshot. It never blocks on the worker.
func (e *Engine) Status() infer.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	if e.link != nil {
		p := e.link.pulse()
		s.Active, s.Queued, s.Pool, s.Steps = p.Active, p.Queued, p.Pool, p.Steps
	}
	return s
}

// Models returns what can be asked for.
func (e *Engine) Models() []infer.Model {
	return []infer.Model{e.Status().Model}
}

// Generate hands a request to the worker and returns once it is accepted: its
// prompt is tokenised and fits. ctx is the request's life: when it is done the
// generation is cancelled. Errors are *infer.Error, or ctx's.
func (e *Engine) Generate(ctx context.Context, r infer.Request) (infer.Stream, error) {
	if err := e.known(r.Model); err != nil {
		return nil, err
	}
	l, err := e.current()
	if err != nil {
		return nil, err
	}
	s, err := l.submit(r)
	if errors.Is(err, errFull) {
		return nil, e.overloaded()
	} else if err != nil {
		return nil, err
	}
	stopWatching := context.AfterFunc(ctx, s.Close)
	select {
	case <-s.answered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.failure(); err != nil {
		stopWatching()
		return nil, err
	}
	return &watched{stream: s, stopWatching: stopWatching, ended: e.ended}, nil
}

// known refuses the name of a model that is not served here.
func (e *Engine) known(name string) error {
	id := e.cfg.Model.ID
	if name == "" || name == id || slices.Contains(e.cfg.Model.Aliases, name) {
		return nil
	}
	return &infer.Error{Code: infer.CodeModelNotFound, Param: "model",
		Message: fmt.Sprintf("The model %q is not served here.", name),
		Hint:    fmt.Sprintf("Ask for %q, or leave the model out.", id)}
}

// overloaded says when to come back.
func (e *Engine) overloaded() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &infer.Error{Code: infer.CodeOverloaded, RetryAfter: e.pace.wait(maxInFlight), Err: errFull,
		Message: fmt.Sprintf("%d requests are running or waiting already.", maxInFlight), Hint: "Try again later."}
}

// current returns the link to a worker that is ready.
func (e *Engine) current() (*link, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	switch s.State {
	case infer.StateReady:
	case infer.StateStarting:
		return nil, &infer.Error{Code: infer.CodeStarting, RetryAfter: time.Second,
			Message: strings.TrimSpace(fmt.Sprintf("The model is loading (%.0f %%). %s", 100*s.Progress, s.Reason)), Hint: "Try again in a moment."}
	case infer.StateFailed:
		return nil, &infer.Error{Code: infer.CodeFailed, Message: "The engine has failed: " + s.Reason, Hint: s.Hint}
	default:
		return nil, &infer.Error{Code: infer.CodeStopped, Message: "The engine is stopped."}
	}
	return e.link, nil
}

// ended learns from a request that ended.
func (e *Engine) ended(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pace.observe(at)
}

// watched is a stream that stops watching its request's context when it is
// closed, and tells the engine when it has ended well.
type watched struct {
	*stream
	stopWatching func() bool
	ended        func(at time.Time)
}

// Next implements infer.Stream.
func (w *watched) Next(ctx context.Context) (infer.Event, error) {
	ev, err := w.stream.Next(ctx)
	if ev.End != nil {
		w.ended(time.Now())
	}
	return ev, err
}

// Close implements infer.Stream.
func (w *watched) Close() {
	w.stopWatching()
	w.stream.Close()
}

// pace measures how many requests end in a second, so that Retry-After is no guess.
type pace struct {
	ends []time.Time // of the last requests, oldest first
}

// paceSamples is how many ends are looked at.
const paceSamples = 32

func (p *pace) observe(at time.Time) {
	p.ends = append(p.ends, at)
	if over := len(p.ends) - paceSamples; over > 0 {
		p.ends = slices.Delete(p.ends, 0, over)
	}
}

// wait returns when about half of n requests will have ended at the last pace,
// from a second to a minute.
func (p *pace) wait(n int) time.Duration {
	const least, most = time.Second, time.Minute
	if len(p.ends) < 2 {
		return 5 * time.Second
	}
	each := p.ends[len(p.ends)-1].Sub(p.ends[0]) / time.Duration(len(p.ends)-1)
	return min(max(each*time.Duration(n)/2, least), most).Round(time.Second)
}
