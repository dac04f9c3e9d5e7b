package stress

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Quantiles are of latencies, in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// latencies collects durations up to an hour, to three digits.
type latencies struct{ h *hdrhistogram.Histogram }

func newLatencies() latencies {
	return latencies{hdrhistogram.New(1, time.Hour.Microseconds(), 3)}
}

func (l latencies) add(d time.Duration) {
	_ = l.h.RecordValue(min(d, time.Hour).Microseconds()) // it fails beyond an hour only
}

func (l latencies) quantiles() Quantiles {
	at := func(q float64) float64 { return float64(l.h.ValueAtQuantile(q)) / 1000 }
	return Quantiles{Count: l.h.TotalCount(), P50: at(50), P95: at(95), P99: at(99), Max: float64(l.h.Max()) / 1000}
}

func quantilesOf(ds []time.Duration) Quantiles {
	l := newLatencies()
	for _, d := range ds {
		l.add(d)
	}
	return l.quantiles()
}

// Summary sums up a group of requests.
type Summary struct {
	Name     string `json:"name"`
	Requests int    `json:"requests"`
	// Outcomes are of requests, Statuses of attempts; 0 is no status.
	Outcomes map[Outcome]int `json:"outcomes"`
	Statuses map[int]int     `json:"statuses"`
	Attempts int             `json:"attempts"`
	// TTFT and E2E are of answers that were whole, ITL of all.
	TTFT Quantiles `json:"ttft"`
	ITL  Quantiles `json:"itl"`
	E2E  Quantiles `json:"e2e"`
	// Seconds from the first start to the last end; rates are over it.
	Seconds         float64 `json:"seconds"`
	Tokens          int     `json:"tokens"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	AnswersPerSec   float64 `json:"answers_per_second"`
	// Reasons are the first of each outcome that is not OK.
	Reasons map[Outcome]string `json:"reasons,omitempty"`
}

// tally makes a Summary of samples as they come.
type tally struct {
	Summary
	ttft, itl, e2e latencies
	from, to       time.Duration
}

func newTally(name string) *tally {
	return &tally{
		Summary: Summary{Name: name, Outcomes: map[Outcome]int{}, Statuses: map[int]int{}, Reasons: map[Outcome]string{}},
		ttft:    newLatencies(), itl: newLatencies(), e2e: newLatencies(),
	}
}

func (t *tally) add(s *Sample) {
	if t.Requests == 0 || s.Start < t.from {
		t.from = s.Start
	}
	t.to = max(t.to, s.End)
	t.Requests++
	t.Attempts += len(s.Attempts)
	for _, a := range s.Attempts {
		t.Statuses[a.Status]++
		if a.Outcome != OK && t.Reasons[a.Outcome] == "" {
			t.Reasons[a.Outcome] = a.Reason
		}
	}
	t.Outcomes[s.Outcome()]++
	t.Tokens += s.Tokens
	for _, gap := range s.Gaps {
		t.itl.add(gap)
	}
	if s.Outcome() == OK {
		t.e2e.add(s.E2E)
		if s.TTFT > 0 {
			t.ttft.add(s.TTFT)
		}
	}
}

func (t *tally) summary() Summary {
	s := t.Summary
	s.TTFT, s.ITL, s.E2E = t.ttft.quantiles(), t.itl.quantiles(), t.e2e.quantiles()
	if s.Seconds = (t.to - t.from).Seconds(); s.Seconds > 0 {
		s.TokensPerSecond = float64(s.Tokens) / s.Seconds
		s.AnswersPerSec = float64(s.Outcomes[OK]) / s.Seconds
	}
	return s
}

// recorder takes samples from any goroutine.
type recorder struct {
	mu      sync.Mutex
	all     *tally
	groups  map[string]*tally
	order   []string
	samples []*Sample
}

func newRecorder() *recorder {
	return &recorder{all: newTally("all"), groups: map[string]*tally{}}
}

func (r *recorder) add(s *Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[s.Ask.Group]
	if g == nil {
		g = newTally(s.Ask.Group)
		r.groups[s.Ask.Group] = g
		r.order = append(r.order, s.Ask.Group)
	}
	r.all.add(s)
	g.add(s)
	if !s.Ask.Keep { // an hour's would not fit; the histograms have the numbers
		s.Gaps = nil
		s.text.Reset()
	}
	r.samples = append(r.samples, s)
}

// in returns the samples of a group.
func (r *recorder) in(group string) (of []*Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		if s.Ask.Group == group {
			of = append(of, s)
		}
	}
	return of
}
