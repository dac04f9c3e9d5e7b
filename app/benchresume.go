package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"samovar/app/bench"
	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
)

// benchResume measures what coming back to a prompt costs after its KV has left.
func benchResume(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) (err error) {
	var page *os.File
	if s.Bench.HTML != "" {
		if page, err = os.Create(s.Bench.HTML); err != nil {
			return usageError{fmt.Errorf("cannot write --html: %w", err)}
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	if s.KeepQuota == 0 {
		return usageError{errors.New("nothing is kept with keep_quota = 0, so that there is nothing to measure")}
	}
	// What is kept here was made here: nothing is cold twice.
	dir, err := os.MkdirTemp("", "samovar-kept-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	keep := engine.Keep{Dir: dir, Quota: s.KeepQuota, Memory: s.KeepMemory}

	progress := newProgress(p.Stderr)
	defer progress.done()
	report := bench.ResumeReport{Version: engine.BuildVersion(), Made: time.Now(), Machine: bench.ThisMachine()}
	report.ResumeResult, err = bench.Resume(ctx, bench.ResumeConfig{
		Lengths: s.Bench.Lengths, Rounds: s.Bench.Rounds, Progress: progress.show,
		Serve: func(ctx context.Context, use func(bench.ResumeServer) error) error {
			return serveForBench(ctx, s, where, keep, progress, func(on served) error {
				report.Model = describe(on.status, s)
				if longest := s.Bench.Lengths[len(s.Bench.Lengths)-1]; longest+longest/8 > on.status.Model.ContextTokens {
					return usageError{fmt.Errorf("--lengths asks for %d tokens, and the model has %d; leave room for its template", longest, on.status.Model.ContextTokens)}
				}
				return use(on.resume(progress))
			})
		},
	})
	if err != nil {
		return err
	}
	progress.done()
	if page != nil {
		if err := report.Page().WriteHTML(page); err != nil {
			return fmt.Errorf("writing --html: %w", err)
		}
	}
	if inv.json {
		return report.WriteJSON(p.Stdout)
	}
	return report.Page().WriteText(p.Stdout)
}

func (on served) resume(progress *progress) bench.ResumeServer {
	return bench.ResumeServer{
		BaseURL: on.base, Status: on.engine.Status,
		Evict: func(ctx context.Context) error {
			_, err := on.engine.RawDecode(ctx, 1, 2, 1) // it wants the pool for itself
			return err
		},
		Kill: func(ctx context.Context) error {
			pid := on.engine.Status().WorkerPID
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill the worker: %w", err)
			}
			if err := await(ctx, func() bool { st := on.engine.Status(); return st.State != infer.StateReady || st.WorkerPID != pid }); err != nil {
				return err
			}
			_, err := waitReady(ctx, on.engine, progress)
			return err
		},
	}
}
