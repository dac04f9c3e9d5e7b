package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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
	parts, err := chooseParts(s.Bench.Scenario)
	if err != nil {
		return usageError{fmt.Errorf("--scenario: %w", err)}
	}
	progress := newProgress(p.Stderr)
	defer progress.done()
	b := resumeBench{s: s, where: where, progress: progress,
		report: bench.ResumeReport{Version: engine.BuildVersion(), Made: time.Now(), Machine: bench.ThisMachine()}}
	for _, part := range parts {
		if err := b.measure(ctx, part); err != nil {
			return err
		}
	}
	report := b.report
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

// The parts of bench resume; a workload's name is a part, too.
const (
	partEndings  = "endings"
	partOverhead = "overhead"
)

// chooseParts returns the parts with the names given, or all.
func chooseParts(names string) ([]string, error) {
	all := []string{partEndings, partOverhead}
	for _, w := range bench.Workloads {
		all = append(all, w.Name)
	}
	if names == "all" {
		return all, nil
	}
	var parts []string
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no %q; there are all, %s", name, strings.Join(all, ", "))
		}
		parts = append(parts, name)
	}
	return parts, nil
}

// resumeBench is a bench resume that goes on.
type resumeBench struct {
	s        config.Settings
	where    paths.Paths
	progress *progress
	report   bench.ResumeReport
}

func (b *resumeBench) measure(ctx context.Context, part string) error {
	switch part {
	case partEndings:
		return b.endings(ctx)
	case partOverhead:
		return b.overhead(ctx)
	}
	w := bench.Workloads[slices.IndexFunc(bench.Workloads, func(w bench.Workload) bool { return w.Name == part })]
	result, err := bench.PlayWorkload(ctx, w, b.serveCells, b.progress.show)
	b.report.Workloads = append(b.report.Workloads, result)
	return err
}

func (b *resumeBench) endings(ctx context.Context) error {
	return b.inFolder(func(keep engine.Keep) error {
		result, err := bench.Resume(ctx, bench.ResumeConfig{
			Lengths: b.s.Bench.Lengths, Rounds: b.s.Bench.Rounds, Progress: b.progress.show,
			Serve: func(ctx context.Context, use func(bench.ResumeServer) error) error {
				return b.serve(ctx, b.s, keep, func(on served) error {
					if longest := b.s.Bench.Lengths[len(b.s.Bench.Lengths)-1]; longest+longest/8 > on.status.Model.ContextTokens {
						return usageError{fmt.Errorf("--lengths asks for %d tokens, and the model has %d; leave room for its template", longest, on.status.Model.ContextTokens)}
					}
					return use(on.resume(keep.Dir, b.progress))
				})
			},
		})
		b.report.Endings = &result
		return err
	})
}

func (b *resumeBench) overhead(ctx context.Context) error {
	return b.inFolder(func(keep engine.Keep) error {
		return b.serve(ctx, b.s, keep, func(on served) error {
			result, err := bench.MeasureOverhead(ctx, on.resume(keep.Dir, b.progress), on.engine.Saving, b.s.Bench.Rounds, b.progress.show)
			b.report.Overhead = &result
			return err
		})
	})
}

// serveCells serves with a pool of so many cells, and keeps KV in a folder of its own
// or nowhere.
func (b *resumeBench) serveCells(ctx context.Context, cells int, keeps bool, use func(bench.ResumeServer) error) error {
	cellBytes := 0
	if err := b.serve(ctx, b.s, engine.Keep{}, func(on served) error { cellBytes = on.status.Model.CellBytes; return nil }); err != nil {
		return err
	}
	s := b.s
	s.ContextTokens, s.KVBytes = cells, int64(cells)*int64(cellBytes)
	return b.inFolder(func(keep engine.Keep) error {
		if !keeps {
			keep = engine.Keep{}
		}
		return b.serve(ctx, s, keep, func(on served) error { return use(on.resume(keep.Dir, b.progress)) })
	})
}

func (b *resumeBench) serve(ctx context.Context, s config.Settings, keep engine.Keep, use func(served) error) error {
	return serveForBench(ctx, s, b.where, keep, b.progress, func(on served) error {
		if b.report.Model.ID == "" {
			b.report.Model = describe(on.status, s)
		}
		return use(on)
	})
}

// inFolder gives use a folder to keep in: what is kept there was made there, so that
// nothing is cold twice.
func (b *resumeBench) inFolder(use func(engine.Keep) error) (err error) {
	dir, err := os.MkdirTemp("", "samovar-kept-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return use(engine.Keep{Dir: dir, Quota: b.s.KeepQuota, Memory: b.s.KeepMemory})
}

// resume is a server whose KV is kept in dir.
func (on served) resume(dir string, progress *progress) bench.ResumeServer {
	s := bench.ResumeServer{
		BaseURL: on.base, Status: on.engine.Status,
		Evict: func(ctx context.Context) error {
			_, err := on.engine.RawDecode(ctx, 1, 2, 1) // it wants the pool for itself
			return err
		},
		Unload: func(ctx context.Context) error {
			if err := on.engine.Stop(ctx); err != nil {
				return err
			}
			on.engine.Start("The bench goes on.")
			_, err := waitReady(ctx, on.engine, progress)
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
	if bench.CanDropCache {
		s.Drop = func(context.Context) error { return bench.DropCache(dir) }
	}
	return s
}
