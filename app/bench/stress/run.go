package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"samovar/app/bench/report"
)

// Options say how to play scenarios.
type Options struct {
	Target Target
	Size   Size
	// Seed makes what is random the same again.
	Seed uint64
	// Slack multiplies the limits of times: 1, but for a machine or a build that
	// is slow for reasons of its own.
	Slack float64
	// Progress is told what happens now.
	Progress func(what string)
}

// Result is what one scenario found.
type Result struct {
	Scenario string             `json:"scenario"`
	What     string             `json:"what"`
	Began    time.Time          `json:"began"`
	Seconds  float64            `json:"seconds"`
	All      Summary            `json:"all"`
	Groups   []Summary          `json:"groups,omitempty"`
	Metrics  map[Metric]float64 `json:"metrics"`
	Verdicts []report.Verdict   `json:"verdicts"`
	// NotMeasured are the limits that nothing can be said about, with the reason.
	NotMeasured []string  `json:"not_measured,omitempty"`
	Notes       []string  `json:"notes,omitempty"`
	Live        Quantiles `json:"live"`
	Memory      []Memory  `json:"memory,omitempty"`

	live    []probe
	samples []*Sample
}

// Passed says whether all limits held.
func (r Result) Passed() bool {
	return !slices.ContainsFunc(r.Verdicts, func(v report.Verdict) bool { return !v.Pass })
}

// run is a scenario being played.
type run struct {
	Options
	client  *client
	watcher *watcher
	rec     *recorder
	rng     *rand.Rand
	// mark tells this run's prompts from those of any other.
	mark    string
	metrics map[Metric]float64
	notes   []string
}

// Run plays one scenario. An error means that it could not be played to its end;
// whatever the server did wrong is in the Result.
func Run(ctx context.Context, s Scenario, o Options) (Result, error) {
	epoch := time.Now()
	r := &run{
		Options: o, rec: newRecorder(), metrics: map[Metric]float64{},
		client: newClient(o.Target, epoch), watcher: newWatcher(o.Target.BaseURL, epoch),
		mark: fmt.Sprintf("%s %04d", s.Name, epoch.UnixMilli()/100%10_000),
		rng:  rand.New(rand.NewPCG(o.Seed, 0)),
	}
	defer r.client.close()
	defer r.watcher.close()
	r.watcher.find(ctx)

	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { r.watcher.watch(watching) })
	err := s.play(ctx, r)
	stop()
	watch.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = r.settle(ctx)
	}
	if err != nil {
		return Result{}, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	return r.result(s, epoch), nil
}

// settle looks whether the server forgets the load.
func (r *run) settle(ctx context.Context) error {
	if !r.watcher.isSamovar {
		return nil
	}
	left, err := r.watcher.settle(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.note("GET /health after the load: %v", err)
		left = 1 // a server that no longer tells is not in order
	}
	r.metrics[Left] = float64(left)
	return nil
}

func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *run) result(s Scenario, epoch time.Time) Result {
	for m, v := range count(r.rec.samples) {
		r.metrics[m] = v
	}
	took := make([]time.Duration, 0, len(r.watcher.live))
	for _, p := range r.watcher.live {
		took = append(took, p.took)
	}
	res := Result{
		Scenario: s.Name, What: s.What(r.Size), Began: epoch, Seconds: time.Since(epoch).Seconds(),
		All: r.rec.all.summary(), Metrics: r.metrics, Notes: r.notes,
		Live: quantilesOf(took), Memory: r.watcher.memory,
		live: r.watcher.live, samples: r.rec.samples,
	}
	if len(took) > 0 {
		r.metrics[LiveP99], r.metrics[LiveFailures] = res.Live.P99, float64(r.watcher.failures)
	}
	if len(r.rec.order) > 1 {
		for _, name := range r.rec.order {
			res.Groups = append(res.Groups, r.rec.groups[name].summary())
		}
	}
	for _, l := range s.limits() {
		got, measured := r.metrics[l.Metric]
		if !measured {
			res.NotMeasured = append(res.NotMeasured, metrics[l.Metric].words)
			continue
		}
		res.Verdicts = append(res.Verdicts, l.judge(got, r.slack()))
	}
	return res
}

func (r *run) slack() float64 { return max(r.Slack, 1) }

// ask sends a request of the usual patience and records it.
func (r *run) ask(ctx context.Context, a Ask) *Sample {
	if a.Timeout == 0 {
		a.Timeout = r.Size.Timeout
	}
	s := r.client.do(ctx, a)
	if ctx.Err() == nil {
		r.rec.add(s)
	}
	return s
}

// together sends requests at once and waits for all.
func (r *run) together(ctx context.Context, n int, ask func(i int) Ask) {
	var all sync.WaitGroup
	for i := range n {
		a := ask(i)
		all.Go(func() { r.ask(ctx, a) })
	}
	all.Wait()
}

// keepBusy has n clients ask one request after the other until stop is called,
// which waits for the last answers.
func (r *run) keepBusy(ctx context.Context, n int, ask func(client, i int) Ask) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for c := range n {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				select {
				case <-done:
					return
				default:
					r.ask(ctx, ask(c, i))
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(done); all.Wait() })
}

// errUnanswered is a request without which the scenario makes no sense.
var errUnanswered = errors.New("a request that must be answered was not")

// must sends a request that the scenario depends on.
func (r *run) must(ctx context.Context, a Ask) (*Sample, error) {
	a.Patient = true
	s := r.ask(ctx, a)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s.Outcome() != OK || s.TTFT == 0 {
		return nil, fmt.Errorf("%w: %s %s", errUnanswered, s.Outcome(), s.last().Reason)
	}
	return s, nil
}
