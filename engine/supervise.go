package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/engine/infer"
	"samovar/engine/internal/proc"
	"samovar/engine/internal/wire"
)

// How a dead worker is replaced.
const (
	// maxBackoff bounds the pause before a restart: 0, 1, 2, 4, 8, 16, 16 … s.
	maxBackoff = 16 * time.Second
	// restartBudget deaths within budgetWindow, with nothing delivered in between, are
	// too many.
	restartBudget = 8
	budgetWindow  = 10 * time.Minute
	// loadAttempts is how often a worker may die while loading, which it does
	// without a word when llama.cpp aborts on a file.
	loadAttempts = 2
	// refusals is how often a model that was served before may be refused: what it lacks
	// may be there again.
	refusals = 3
	// stopGrace is how long a worker has to save what it holds and to leave by itself.
	stopGrace = wire.SaveFor + 2*time.Second
	// loadStep is how long a load may take without a word: it tells each percent.
	loadStep = 3 * time.Minute
	// helloTimeout is how long a new process may take to say hello.
	helloTimeout = 30 * time.Second
)

// failure ends supervision: trying again would fail again.
type failure struct {
	reason, hint string
	err          error
}

func (f *failure) Error() string { return f.reason }
func (f *failure) Unwrap() error { return f.err }

// Serve supervises the worker until ctx is done, then stops it and waits. A
// worker that cannot be had is no error of Serve: the state is then failed, with
// the reason, and Serve waits for Start, or ctx. So it does when the engine is stopped.
func (e *Engine) Serve(ctx context.Context) error {
	for ctx.Err() == nil {
		run, end := context.WithCancel(ctx)
		if !e.begin(end) {
			end()
			e.idle()
			e.pause(ctx)
			continue
		}
		err := e.supervise(run)
		stopped := run.Err() != nil
		e.ended()
		var f *failure
		switch {
		case stopped:
		case errors.As(err, &f):
			e.setState(infer.StateFailed, f.reason, f.hint)
			e.cfg.Log.Error("the engine has failed", "model", e.cfg.Model.ID, "reason", f.reason, "hint", f.hint, "err", f.err)
			for ctx.Err() == nil && e.resigned() {
				e.pause(ctx)
			}
		default:
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders.over = true
	e.end(infer.StateStopped, "", "")
	return nil
}

// supervise runs one worker after another. It returns a *failure, or when ctx
// is done.
func (e *Engine) supervise(ctx context.Context) error {
	if err := e.prepareModel(ctx); err != nil {
		return err
	}
	var deaths []time.Time
	served := false
	for {
		if err := e.reserve(ctx); err != nil {
			var tooMuch *failure
			if errors.As(err, &tooMuch) && e.rollBack(err) {
				continue
			}
			return err
		}
		start, before := time.Now(), e.roster.progressed()
		w, err := e.start(ctx)
		if err == nil {
			served = true
			l := e.ready(w, time.Since(start))
			err = e.serveWorker(ctx, w, l)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reason, ok := asPlanned(err); ok {
			e.cfg.Log.Info("the engine is being replaced", "reason", reason)
			continue
		}
		if e.roster.progressed() > before {
			deaths = nil // it was of use
		}
		var refused *failure
		if errors.As(err, &refused) && e.rollBack(err) {
			continue
		}
		deaths = recent(append(deaths, time.Now()))
		if f := final(err, len(deaths), served); f != nil {
			return f
		}
		pause := backoff(len(deaths))
		e.died(err, pause)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// final says whether a worker's end is the engine's, too: nil means that another
// worker may do better. A model that was never served is given up at once when
// the worker refuses it, and soon when the worker dies of it; one that was
// served before may have failed for a reason that passes (too little memory,
// say), so it is tried some times.
func final(err error, deaths int, served bool) *failure {
	var f *failure
	refused := errors.As(err, &f)
	switch {
	case refused && (!served || deaths >= refusals):
		return f
	case !served && deaths >= loadAttempts:
		return &failure{reason: "The engine died while loading the model: " + sentence(err), err: err,
			hint: "The file may be broken or of a kind that this version does not support; try another, or download it again."}
	case deaths >= restartBudget:
		return &failure{reason: fmt.Sprintf("The engine died %d times within %v, the last time with: %s", deaths, budgetWindow, sentence(err)), err: err,
			hint: "Restart Samovar; if it happens again, the model may not suit this machine."}
	default:
		return nil
	}
}

// prepareModel makes the model's file, if the configuration says how.
func (e *Engine) prepareModel(ctx context.Context) error {
	if e.cfg.Model.Prepare == nil {
		return nil
	}
	path, err := e.cfg.Model.Prepare(ctx, e.setProgress)
	if err != nil {
		return &failure{reason: "The model could not be prepared: " + sentence(err), err: err}
	}
	e.path = path
	e.setProgress(0)
	return nil
}

// worker is a process that is ready, and the conversation with it.
type worker struct {
	process *proc.Process
	frames  *wire.Reader
	model   infer.Model
	// settings are those that it was started with.
	settings Settings
}

// start spawns a worker and brings it to ready. The error is a *failure if
// another try would end in the same way.
func (e *Engine) start(ctx context.Context) (*worker, error) {
	env, err := e.environment()
	if err != nil {
		return nil, &failure{reason: "The engine's folder could not be made: " + sentence(err), err: err}
	}
	c := e.config()
	if !e.roomy(c.settings()) {
		return nil, planned{changedSettings}
	}
	p, err := proc.Start(proc.Spec{Path: e.cfg.WorkerPath, Env: env, Dir: e.cfg.StateDir})
	if err != nil {
		return nil, &failure{reason: "The engine could not be started: " + sentence(err), hint: "Install Samovar again.", err: err}
	}
	e.spawned(p.PID())
	w := &worker{process: p, frames: wire.NewReader(p.Out), settings: c.settings()}
	stopKilling := context.AfterFunc(ctx, p.Kill)
	defer stopKilling()
	if err := e.load(w, c); err != nil {
		p.Stop(stopGrace)
		e.setPID(0)
		var f *failure
		if now := e.config(); now.settings() != w.settings {
			return nil, planned{changedSettings}
		}
		if errors.As(err, &f) {
			return nil, f
		}
		return nil, dead(p, err)
	}
	e.proven(w.settings)
	return w, nil
}

// load shakes hands and waits until the worker has loaded the model.
func (e *Engine) load(w *worker, c Config) error {
	slow := time.AfterFunc(helloTimeout, w.process.Kill)
	defer slow.Stop()
	f, err := w.frames.Read()
	if err != nil {
		return err
	}
	slow.Stop()
	var hello wire.Hello
	if f.Kind != wire.KindHello {
		return fmt.Errorf("%w: the first frame is %s", wire.ErrMalformed, f.Kind)
	} else if err := f.Decode(&hello); err != nil {
		return err
	}
	if hello.Protocol != wire.Protocol || hello.Build != wire.BuildVersion {
		return &failure{
			reason: fmt.Sprintf("The engine is version %s (protocol %d), but Samovar is version %s (protocol %d).",
				hello.Build, hello.Protocol, wire.BuildVersion, wire.Protocol),
			hint: "Install both from the same release, or run `make build` again.",
		}
	}
	if err := wire.Write(w.process.In, wire.KindLoad, wire.Load{
		LibDir: c.LibDir, Path: e.path, MemoryBytes: e.allowed(), ContextTokens: c.ContextTokens,
		KVType: c.KVType, KVBytes: c.KVBytes, Threads: c.Threads, ChatTemplate: c.ChatTemplate, Keep: c.Keep.wire(),
	}); err != nil {
		return err
	}
	var hung atomic.Bool
	stuck := time.AfterFunc(loadStep, func() {
		hung.Store(true)
		w.process.Kill()
	})
	defer stuck.Stop()
	for {
		f, err := w.frames.Read()
		if hung.Load() {
			return fmt.Errorf("loading did not go on for %v", loadStep)
		}
		if err != nil {
			return err
		}
		stuck.Reset(loadStep)
		switch f.Kind {
		case wire.KindLog:
			if err := decoded(f, e.log); err != nil {
				return err
			}
		case wire.KindProgress:
			var m wire.Progress
			if err := f.Decode(&m); err != nil {
				return err
			}
			e.setProgress(m.Fraction)
		case wire.KindReady:
			var m wire.Ready
			if err := f.Decode(&m); err != nil {
				return err
			}
			w.model = m.Model
			return nil
		case wire.KindFailed:
			var m wire.Failed
			if err := f.Decode(&m); err != nil {
				return err
			}
			return &failure{reason: m.Reason, hint: m.Hint}
		default:
			return fmt.Errorf("%w: unexpected %s while loading", wire.ErrMalformed, f.Kind)
		}
	}
}

// serveWorker keeps the conversation going until the worker dies (its last
// words are the error) or ctx is done (the worker is stopped).
func (e *Engine) serveWorker(ctx context.Context, w *worker, l *link) error {
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		l.write(w.process.In)
	}()
	// A worker that does not leave when asked to must not hold up the end.
	stopped := make(chan struct{})
	letRun := context.AfterFunc(ctx, func() {
		defer close(stopped)
		w.process.Stop(stopGrace)
	})
	defer func() {
		if !letRun() {
			<-stopped
		}
	}()
	e.serving(w.settings, func() { go w.process.Stop(stopGrace) })
	l.watch.ping, l.watch.busy, l.watch.kill = l.ping, e.roster.busy, w.process.Kill
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch.run(w.process.Done())
	}()
	readErr := l.read(w.frames)

	// Whatever ended the conversation, this worker has had its time.
	w.process.Stop(stopGrace)
	<-watched
	err := dead(w.process, readErr)
	if hung := l.watch.verdict(); hung != "" {
		err = errors.New(hung)
	}
	wanted := e.left()
	if wanted != nil {
		err = wanted
	}
	if ctx.Err() != nil || wanted != nil {
		e.reportKept()
	}
	e.mu.Lock()
	if e.status.State != infer.StateDraining {
		why := lossReason(err)
		e.replaced = "Waits until the engine, which died, is started again."
		if wanted != nil {
			why = sentence(wanted)
			e.replaced = "Waits until another engine has taken over. " + why
		}
		e.move(infer.StateStarting, why, "", why)
	}
	e.status.Progress, e.loads = 0, time.Time{}
	loadTime := e.status.LoadTime
	e.mu.Unlock()
	l.die()
	e.roster.lost(wanted == nil && ctx.Err() == nil, &infer.Error{Code: infer.CodeWorkerLost, RetryAfter: time.Second, Err: err,
		Message: "The engine stopped while it worked on this request.", Hint: "It is being started again; send the request once more."},
		time.Now().Add(loadTime))
	<-writer
	return err
}

// log is for what a worker has to say.
func (e *Engine) log(m wire.Log) {
	fields := make([]any, 0, 2*len(m.Fields))
	for _, f := range m.Fields {
		fields = append(fields, f.Key, f.Value)
	}
	e.cfg.Log.Log(context.Background(), slog.Level(m.Level), m.Message, fields...)
}

// reportKept says what is left of a worker that has stopped: the next one goes on with it.
func (e *Engine) reportKept() {
	switch k := e.Status().Kept; {
	case !k.On:
	case k.Off != "":
		e.cfg.Log.Warn("not all KV is kept", "reason", k.Off, "tokens", k.Tokens, "size", humanize.IBytes(uint64(k.Bytes)))
	default:
		e.cfg.Log.Info("all KV is kept", "tokens", k.Tokens, "size", humanize.IBytes(uint64(k.Bytes)), "written", humanize.IBytes(k.WrittenBytes))
	}
}

// dead describes a worker's end: how it ended and what it printed last.
func dead(p *proc.Process, readErr error) error {
	end := "it ended by itself"
	if err := p.Err(); err != nil {
		end = err.Error()
	} else if readErr != nil && !errors.Is(readErr, io.EOF) {
		end = readErr.Error()
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(p.Tail(), "?")), "\n")
	if last := lines[max(0, len(lines)-3):]; len(last[0]) > 0 {
		end += "; its last output was: " + strings.Join(last, " | ")
	}
	return errors.New(end)
}

// environment is the worker's: no more than it needs, and a private cache.
func (e *Engine) environment() ([]string, error) {
	if err := os.MkdirAll(e.cfg.StateDir, 0o700); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(e.cfg.StateDir)
	if err != nil {
		return nil, err
	}
	return proc.PrivateEnv(dir), nil
}

// setState ends the engine's service: the state is stopped or failed.
func (e *Engine) setState(s infer.State, reason, hint string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end(s, reason, hint)
}

// end is setState with the lock held, so that nobody who comes later is meant.
func (e *Engine) end(s infer.State, reason, hint string) {
	e.move(s, reason, hint, cmp.Or(reason, "Samovar ends."))
	e.status.WorkerPID, e.status.Progress = 0, 0
	e.roster.close(refusal(e.status))
}

func (e *Engine) setProgress(f float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Progress = f
}

func (e *Engine) setPID(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.WorkerPID = pid
}

// spawned says that a worker begins to load.
func (e *Engine) spawned(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.WorkerPID, e.loads = pid, time.Now()
}

// ready takes a worker into service and returns the conversation with it.
func (e *Engine) ready(w *worker, took time.Duration) *link {
	w.model.ID = e.cfg.Model.ID
	l := newLink(e.roster, e.log)
	e.roster.open(l, capacity(w.model, e.config().Threads))
	e.mu.Lock()
	s := &e.status
	if s.State != infer.StateDraining {
		e.move(infer.StateReady, "", "", fmt.Sprintf("It was loaded in %v.", took.Round(time.Millisecond)))
	}
	s.Progress, e.replaced = 1, ""
	s.Loads++
	s.LoadTime, s.Model, s.WorkerPID = took, w.model, w.process.PID()
	e.mu.Unlock()
	e.cfg.Log.Info("ready", "model", w.model.ID, "load", took.Round(time.Millisecond).String(),
		"context", w.model.ContextTokens, "pid", w.process.PID())
	return l
}

// lossReason says why a worker is replaced.
func lossReason(err error) string { return "The engine died and is started again: " + sentence(err) }

func (e *Engine) died(err error, pause time.Duration) {
	e.cfg.Log.Warn("the engine died; starting it again", "err", err)
	e.mu.Lock()
	s := &e.status
	s.Restarts++
	s.WorkerPID, e.loads = 0, time.Time{}
	if why := lossReason(err); s.Reason != why && s.State != infer.StateDraining {
		e.move(infer.StateStarting, why, "", why)
	}
	back := time.Now().Add(pause + s.LoadTime)
	e.mu.Unlock()
	e.roster.delay(back)
}

// recent drops the times that are out of the budget's window.
func recent(deaths []time.Time) []time.Time {
	for len(deaths) > 0 && time.Since(deaths[0]) > budgetWindow {
		deaths = deaths[1:]
	}
	return deaths
}

// backoff is the pause before the restart after the n-th recent death.
func backoff(n int) time.Duration {
	if n <= 1 {
		return 0
	}
	return min(time.Second<<(n-2), maxBackoff)
}

// sleep waits for d or ctx; it says whether d has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sentence ends an error's text as a sentence ends.
func sentence(err error) string { return strings.TrimRight(err.Error(), ".\n ") + "." }
