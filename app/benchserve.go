package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
	"samovar/server"
)

// served is a model that is served to be measured.
type served struct {
	engine *engine.Engine
	// base is the server's address.
	base string
	// status is the engine's when it became ready.
	status infer.Status
}

// serveForBench serves the model on a port of its own, in folders of its own,
// while measure runs. What is kept is as keep says.
func serveForBench(ctx context.Context, s config.Settings, where paths.Paths, keep engine.Keep, progress *progress, measure func(served) error) (err error) {
	model, err := knownModel(ctx, s, where)
	if err != nil {
		return err
	}
	worker, libs, err := engine.FindWorker()
	if err != nil {
		return err
	}
	// Its own folder: a samovar that serves may use the other one.
	state, err := os.MkdirTemp("", "samovar-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()

	quiet := slog.New(slog.DiscardHandler)
	fleet := engine.NewFleet(engine.FleetConfig{Log: quiet, Models: []engine.Config{{
		WorkerPath: worker, LibDir: libs, StateDir: state, Model: model,
		ContextTokens: s.ContextTokens, KVType: s.KVType, KVBytes: s.KVBytes, Threads: s.Threads,
		QueueMax: s.QueueMax, QueueWait: s.QueueWait, Keep: keep, Log: quiet,
	}}})
	eng := fleet.Default()
	ln, err := listen.TCP(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := server.New(server.Options{Engine: fleet, Version: engine.BuildVersion(), Log: quiet})

	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- together(serving, quiet, func(ctx context.Context) error { return api.Serve(ctx, ln) }, fleet.Serve)
	}()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	status, err := waitReady(ctx, eng, progress)
	if err != nil {
		return err
	}
	return measure(served{engine: eng, base: "http://" + ln.Addr().String(), status: status})
}

// readyPoll is how often a bench looks whether the model is loaded. A server
// has nothing that polls; a bench lives for a minute.
const readyPoll = 20 * time.Millisecond

func waitReady(ctx context.Context, eng *engine.Engine, progress *progress) (infer.Status, error) {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		s := eng.Status()
		switch s.State {
		case infer.StateReady:
			return s, nil
		case infer.StateFailed:
			return s, fmt.Errorf("%s %s", s.Reason, s.Hint)
		}
		progress.show(fmt.Sprintf("loading %s: %.0f %%", s.Model.ID, 100*s.Progress))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}

// progress shows what happens now in one line of a terminal; elsewhere it is
// silent.
type progress struct {
	w    io.Writer
	last string
}

func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return &progress{w: w}
	}
	return &progress{w: io.Discard}
}

const clearLine = "\r\x1b[K"

func (p *progress) show(what string) {
	if what != p.last {
		fmt.Fprint(p.w, clearLine+what)
		p.last = what
	}
}

func (p *progress) done() {
	if p.last != "" {
		fmt.Fprint(p.w, clearLine)
		p.last = ""
	}
}
