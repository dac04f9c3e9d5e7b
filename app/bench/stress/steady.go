package stress

import (
	"context"
	"slices"
	"time"

	"samovar/app/bench/report"
)

func sustained(ctx context.Context, r *run) error { return r.steady(ctx, r.Size.SustainedFor) }

func soak(ctx context.Context, r *run) error { return r.steady(ctx, r.Size.SoakFor) }

// steady keeps clients busy for so long, and compares the end with the beginning.
func (r *run) steady(ctx context.Context, long time.Duration) error {
	stop := r.keepBusy(ctx, r.Size.Load, func(c, i int) Ask {
		a := r.say("sustained", c*100_000+i)
		a.Patient = true
		return a
	})
	defer stop()
	ends := time.Now().Add(long)
	for left := long; left > 0; left = time.Until(ends) {
		r.Progress(left.Round(time.Second).String() + " to go")
		if !pause(ctx, min(left, time.Second)) {
			return context.Cause(ctx)
		}
	}
	stop()
	r.compare(long)
	return nil
}

// The beginning is from warmUp to early, the end from late on; parts of the run.
// What comes before warms up caches and fills pools to their size.
const (
	warmUp = 0.2
	early  = 0.4
	late   = 0.8
)

func (r *run) compare(long time.Duration) {
	first, last := newLatencies(), newLatencies()
	for _, s := range r.rec.in("sustained") {
		if s.Outcome() != OK {
			continue
		}
		switch part := float64(s.Start) / float64(long); {
		case part >= warmUp && part < early:
			first.add(s.E2E)
		case part >= late:
			last.add(s.E2E)
		}
	}
	if a, b := first.quantiles(), last.quantiles(); a.Count > 0 && b.Count > 0 {
		r.metrics[Drift] = growth(a.P95, b.P95)
		r.note("p95 latency: %s ms at the beginning (%d answers), %s ms at the end (%d)", report.Millis(a.P95), a.Count, report.Millis(b.P95), b.Count)
	}
	var server, worker [2][]float64
	for _, m := range r.watcher.memory {
		part := m.Seconds / long.Seconds()
		at := 0
		if part >= late {
			at = 1
		} else if part < warmUp || part >= early {
			continue
		}
		server[at] = append(server[at], m.Server)
		worker[at] = append(worker[at], m.Worker)
	}
	// A server within this process shares its memory with the load generator,
	// which remembers every request.
	if !r.watcher.isSelf() {
		r.grown(ServerGrowth, "server", server)
	}
	r.grown(WorkerGrowth, "worker", worker)
}

func (r *run) grown(m Metric, who string, mib [2][]float64) {
	if len(mib[0]) == 0 || len(mib[1]) == 0 {
		return
	}
	before, after := middle(mib[0]), middle(mib[1])
	if before == 0 {
		return
	}
	r.metrics[m] = growth(before, after)
	r.note("memory of the %s: %.1f MiB at the beginning, %.1f MiB at the end", who, before, after)
}

// growth is in percent; what shrank has grown by less than nothing.
func growth(before, after float64) float64 { return 100 * (after/before - 1) }

func middle(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}
