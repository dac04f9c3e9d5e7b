package stress

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// levels asks so many at once, level after level.
func levels(patient bool) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for i, n := range r.Size.Levels {
			if i > 0 && !pause(ctx, r.Size.LevelPause) {
				return context.Cause(ctx)
			}
			r.Progress(fmt.Sprintf("%d at once", n))
			r.together(ctx, n, func(k int) Ask {
				a := r.say(fmt.Sprint(n), k)
				a.Patient = patient
				return a
			})
		}
		return nil
	}
}

func burst(ctx context.Context, r *run) error {
	r.together(ctx, r.Size.Burst, func(i int) Ask { return r.say("burst", i) })
	return nil
}

func storm(ctx context.Context, r *run) error {
	r.together(ctx, r.Size.Storm, func(i int) Ask {
		a := r.say("storm", i)
		a.Patient = true
		return a
	})
	return nil
}

// turnsKept is how many turns of its conversation an agent sends again; then it
// begins a new one, so that contexts stay small on any model.
const turnsKept = 6

func agents(ctx context.Context, r *run) error {
	var all sync.WaitGroup
	for k := range r.Size.Agents {
		all.Go(func() {
			var turns []Turn
			for i := 0; i < r.Size.Turns && ctx.Err() == nil; i++ {
				if len(turns) >= turnsKept {
					turns = nil
				}
				turns = append(turns, Turn{"user", r.prompt("agent", i)})
				s := r.ask(ctx, Ask{
					Group: fmt.Sprintf("agent %02d", k), Agent: fmt.Sprintf("stress-%02d", k), Patient: true, Keep: true,
					System: fmt.Sprintf("You are agent number %02d. Answer in plain words.", k),
					Turns:  slices.Clone(turns), MaxTokens: r.Size.MaxTokens,
				})
				// An answer without a visible word is a turn all the same.
				answer := s.Text()
				if answer == "" {
					answer = "…"
				}
				turns = append(turns, Turn{"assistant", answer})
			}
		})
	}
	all.Wait()
	return nil
}

func identical(ctx context.Context, r *run) error {
	for round := range r.Size.Rounds {
		group := fmt.Sprintf("round %d", round+1)
		r.together(ctx, r.Size.Copies, func(int) Ask {
			a := r.say(group, round)
			a.Keep = true
			return a
		})
		answers := map[string]int{}
		for _, s := range r.rec.in(group) {
			if s.Outcome() == OK {
				answers[s.Text()]++
			}
		}
		if len(answers) > 1 {
			// Not a verdict: near-ties may fall either way with the place in the
			// batch, and any endpoint may sample.
			r.note("round %d: %d different greedy answers to the same request", round+1, len(answers))
		}
	}
	return nil
}

// rate sends by the clock, whatever comes back.
func rate(ctx context.Context, r *run) error {
	var all sync.WaitGroup
	defer all.Wait()
	n := int(math.Round(r.Size.PerSecond * r.Size.RateFor.Seconds()))
	tick := time.NewTicker(time.Duration(float64(time.Second) / r.Size.PerSecond))
	defer tick.Stop()
	for i := range n {
		a := r.say("rate", i)
		all.Go(func() { r.ask(ctx, a) })
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

const (
	// singles is how many single requests stand for one: a single one says little.
	singles = 5
	// floor is a latency below which a ratio of two says nothing.
	floor = 50 * time.Millisecond
)

func recovery(ctx context.Context, r *run) error {
	// One before counts for nothing: caches and clocks warm up.
	if _, err := r.must(ctx, r.say("warm-up", 0)); err != nil {
		return err
	}
	before, err := r.single(ctx, "before")
	if err != nil {
		return err
	}
	r.Progress(fmt.Sprintf("%d at once", r.Size.Burst))
	r.together(ctx, r.Size.Burst, func(i int) Ask { return r.say("overload", i) })
	after, err := r.single(ctx, "after")
	if err != nil {
		return err
	}
	r.metrics[Recovered] = float64(max(after, floor)) / float64(max(before, floor))
	return nil
}

// single is the median latency of the same requests, one after the other.
func (r *run) single(ctx context.Context, group string) (time.Duration, error) {
	var took []time.Duration
	for range singles {
		s, err := r.must(ctx, r.say(group, 0))
		if err != nil {
			return 0, err
		}
		took = append(took, s.E2E)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// healthRounds is how often all checks are made.
const healthRounds = 5

func healthChecks(ctx context.Context, r *run) error {
	if !r.watcher.isSamovar {
		r.note("the endpoint has no GET /health like Samovar's")
		return burst(ctx, r)
	}
	stop := r.keepBusy(ctx, r.Size.Load, func(c, i int) Ask { return r.say("load", c*1000+i) })
	defer stop()
	var (
		mu    sync.Mutex
		took  = newLatencies()
		wrong int
	)
	for range healthRounds {
		var all sync.WaitGroup
		for range r.Size.Checks {
			all.Go(func() {
				began := time.Now()
				_, err := r.watcher.get(ctx, "/health")
				mu.Lock()
				defer mu.Unlock()
				took.add(time.Since(began))
				if err != nil {
					wrong++
				}
			})
		}
		all.Wait()
	}
	r.metrics[HealthFailures], r.metrics[HealthP99] = float64(wrong), took.quantiles().P99
	return nil
}
