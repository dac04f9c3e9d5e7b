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

	"samovar/app/bench"
	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
	"samovar/server"
)

// benchDecode serves the model on a port of its own, measures it against the
// raw loop, and prints what came out.
func benchDecode(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) (err error) {
	model, err := chooseModel(s, where)
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
	progress := newProgress(p.Stderr)
	defer progress.done()

	quiet := slog.New(slog.DiscardHandler)
	eng := engine.New(engine.Config{
		WorkerPath: worker, LibDir: libs, StateDir: state, Model: model,
		ContextTokens: s.ContextTokens, KVType: s.KVType, KVBytes: s.KVBytes, Threads: s.Threads, Log: quiet,
	})
	ln, err := listen.TCP(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := server.New(server.Options{Engine: eng, Version: engine.BuildVersion(), Log: quiet})

	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- together(serving, quiet, func(ctx context.Context) error { return api.Serve(ctx, ln) }, eng.Serve)
	}()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	status, err := waitReady(ctx, eng, progress)
	if err != nil {
		return err
	}
	result, err := bench.Decode(ctx, bench.Config{
		BaseURL: "http://" + ln.Addr().String(),
		Raw:     eng.RawDecode,
		Streams: s.Bench.Streams, Tokens: s.Bench.Tokens, Rounds: s.Bench.Rounds,
		Progress: progress.show,
	})
	if err != nil {
		return err
	}
	progress.done()
	report := bench.Report{Version: engine.BuildVersion(), Machine: bench.ThisMachine(), Model: describe(status, s), Result: result}
	if inv.json {
		return report.WriteJSON(p.Stdout)
	}
	return report.WriteTable(p.Stdout)
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

func describe(st infer.Status, s config.Settings) bench.Model {
	m := st.Model
	return bench.Model{
		ID: m.ID, Name: m.Name, Architecture: m.Architecture, Parameters: m.Parameters, FileBytes: m.FileBytes,
		ContextCells: m.PoolCells, KVType: s.KVType, Threads: s.Threads, LoadSeconds: st.LoadTime.Seconds(),
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
