package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"samovar/app/bench"
	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
)

// What bench batch measures: see DESIGN.md, Numbers that count.
var batchSizes = []int{1, 2, 4, 8, 16}

const (
	longPrompt   = 8000 // tokens
	sharedPrompt = 2000
)

// benchBatch measures what happens when requests meet.
func benchBatch(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) (err error) {
	var page *os.File
	if s.Bench.HTML != "" {
		if page, err = os.Create(s.Bench.HTML); err != nil {
			return usageError{fmt.Errorf("cannot write --html: %w", err)}
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	progress := newProgress(p.Stderr)
	defer progress.done()
	made := time.Now()
	live, ready, load, err := coldStart(ctx, s, where)
	if err != nil {
		return err
	}
	return serveForBench(ctx, s, where, engine.Keep{}, progress, func(on served) error {
		long := min(longPrompt, on.status.Model.ContextTokens*2/3)
		result, err := bench.Batch(ctx, bench.BatchConfig{
			Config: bench.Config{BaseURL: on.base, Raw: on.engine.RawDecode,
				Tokens: s.Bench.Tokens, Rounds: s.Bench.Rounds, Progress: progress.show},
			Status: on.engine.Status, Sizes: batchSizes,
			LongTokens: long, SharedTokens: min(sharedPrompt, long),
		})
		if err != nil {
			return err
		}
		progress.done()
		result.Baseline.Live, result.Baseline.Ready, result.Baseline.Load = millis(live), millis(ready), millis(load)
		r := bench.BatchReport{Version: engine.BuildVersion(), Made: made, Machine: bench.ThisMachine(), Model: describe(on.status, s), BatchResult: result}
		if page != nil {
			if err := r.Page().WriteHTML(page); err != nil {
				return fmt.Errorf("writing --html: %w", err)
			}
		}
		if inv.json {
			return r.WriteJSON(p.Stdout)
		}
		return r.Page().WriteText(p.Stdout)
	})
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// coldStart starts the program itself on a port of its own and measures how long
// it takes to answer and to be ready, and how much of it is loading the model.
func coldStart(ctx context.Context, s config.Settings, where paths.Paths) (live, ready, load time.Duration, err error) {
	// What is made once, such as a shape's file, is no part of a start.
	model, err := knownModel(ctx, s, where)
	if err != nil {
		return 0, 0, 0, err
	}
	path := model.Path
	if model.Prepare != nil {
		if path, err = model.Prepare(ctx, func(float64) {}); err != nil {
			return 0, 0, 0, err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return 0, 0, 0, err
	}
	dir, err := os.MkdirTemp("", "samovar-start-")
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	addrFile := filepath.Join(dir, "addr")
	cmd := exec.CommandContext(ctx, exe, "serve", "--addr", "127.0.0.1:0", "--addr-file", addrFile, "--data-dir", dir,
		"--model", path, "--ctx", fmt.Sprint(s.ContextTokens), "--kv", s.KVType, "--threads", fmt.Sprint(s.Threads))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // how it ended says nothing
	}()
	base := ""
	if err := await(ctx, func() bool {
		addr, err := os.ReadFile(addrFile)
		base = "http://" + strings.TrimSpace(string(addr))
		return err == nil
	}); err != nil {
		return 0, 0, 0, err
	}
	var st infer.Status
	if err := await(ctx, func() bool { return bench.Health(ctx, base, &st) }); err != nil {
		return 0, 0, 0, err
	}
	live = time.Since(start)
	err = await(ctx, func() bool {
		return bench.Health(ctx, base, &st) && (st.State == infer.StateReady || st.State == infer.StateFailed)
	})
	if st.State == infer.StateFailed {
		err = errors.Join(err, errors.New(st.Reason))
	}
	return live, time.Since(start), st.LoadTime, err
}

// startPoll is how finely a start is measured.
const startPoll = 2 * time.Millisecond

func await(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
