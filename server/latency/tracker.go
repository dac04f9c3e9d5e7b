package latency

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Metric is something that is measured in time.
type Metric string

// The metrics (see the glossary in STYLE.md).
const (
	TTFT      Metric = "ttft"
	ITL       Metric = "itl"
	TPOT      Metric = "tpot"
	QueueWait Metric = "queue"
	EndToEnd  Metric = "e2e"
)

// Metrics are all there are.
var Metrics = []Metric{TTFT, ITL, TPOT, QueueWait, EndToEnd}

// keepRecords is how many ended requests are remembered.
const keepRecords = 256

// Tracker tracks requests. Its zero value is not usable; see New.
type Tracker struct {
	sink Sink

	mu      sync.Mutex
	running map[*Request]struct{}
	recent  []Record // oldest first
	series  map[key]*series
	total   *series // of all of them
	feeds   map[chan Record]struct{}
}

// Sink takes every measurement, too: the metrics' histograms that are never
// emptied. It must not wait.
type Sink interface {
	Observe(surface, model string, m Metric, d time.Duration)
	Ended(r Record)
}

type key struct{ surface, model string }

// series is what is measured for one surface and model, or for all.
type series struct {
	key key
	// sink takes it, too; total is the one of all. Both are nil in that one.
	sink    Sink
	total   *series
	windows map[Metric][]*window // as spans
	tokens  counter
	// ends counts requests that were answered, all those that ended.
	ends, all counter
}

// New returns a Tracker that hands its measurements on to sink.
func New(sink Sink) *Tracker {
	return &Tracker{sink: sink, running: map[*Request]struct{}{}, series: map[key]*series{}, total: newSeries(key{}, nil, nil), feeds: map[chan Record]struct{}{}}
}

// Begin tracks a request.
func (t *Tracker) Begin(s Start) *Request {
	r := &Request{t: t, record: Record{Start: s, Outcome: Running}}
	t.mu.Lock()
	k := key{s.Surface, s.Model}
	if t.series[k] == nil {
		t.series[k] = newSeries(k, t.sink, t.total)
	}
	r.series = t.series[k]
	t.running[r] = struct{}{}
	t.publish(r.view())
	t.mu.Unlock()
	return r
}

// forget moves a request to those that have ended; the lock is held.
func (t *Tracker) forget(r *Request) {
	delete(t.running, r)
	t.recent = append(t.recent, r.record)
	if over := len(t.recent) - keepRecords; over > 0 {
		t.recent = slices.Delete(t.recent, 0, over)
	}
}

// Records returns the requests that run and the last that ended, the newest
// first, at most limit of them.
func (t *Tracker) Records(limit int) []Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	records := make([]Record, 0, len(t.recent)+len(t.running))
	records = append(records, t.recent...)
	for r := range t.running {
		records = append(records, r.view())
	}
	slices.SortStableFunc(records, func(a, b Record) int { return b.Arrived.Compare(a.Arrived) })
	return records[:min(max(limit, 0), len(records))]
}

// Window is what one series did in one window: surface and model are empty in that of
// all requests.
type Window struct {
	Surface string             `json:"surface"`
	Model   string             `json:"model"`
	Window  string             `json:"window"`
	Metrics map[Metric]Summary `json:"metrics"`
	// Requests that ended, and those of them that were answered; tokens that were
	// delivered, in all and for each second of the window.
	Requests        int64   `json:"requests"`
	Answered        int64   `json:"answered"`
	Tokens          int64   `json:"tokens"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// Windows sums up every series over every window, that of all requests first.
func (t *Tracker) Windows(now time.Time) []Window {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := windowsOf(nil, t.total, now)
	for _, k := range slices.SortedFunc(maps.Keys(t.series), func(a, b key) int {
		return strings.Compare(a.surface+"\x00"+a.model, b.surface+"\x00"+b.model)
	}) {
		out = windowsOf(out, t.series[k], now)
	}
	return out
}

// Total sums up all requests together over every window.
func (t *Tracker) Total(now time.Time) []Window {
	t.mu.Lock()
	defer t.mu.Unlock()
	return windowsOf(nil, t.total, now)
}

// windowsOf appends those of one series.
func windowsOf(out []Window, s *series, now time.Time) []Window {
	for i, span := range spans {
		w := Window{Surface: s.key.surface, Model: s.key.model, Window: span.name, Metrics: map[Metric]Summary{},
			Requests: s.all.sum(i, now), Answered: s.ends.sum(i, now), Tokens: s.tokens.sum(i, now)}
		for _, m := range Metrics {
			w.Metrics[m] = s.windows[m][i].summary(now)
		}
		w.TokensPerSecond = float64(w.Tokens) / (time.Duration(span.slots) * span.slot).Seconds()
		out = append(out, w)
	}
	return out
}

// feedRoom is how many records wait for a watcher that is slow; more are lost.
const feedRoom = 256

// Watch returns a feed of the requests' records: when they begin, have their first
// token, and end. A watcher that does not keep up loses some. Call stop when done.
func (t *Tracker) Watch() (feed <-chan Record, stop func()) {
	ch := make(chan Record, feedRoom)
	t.mu.Lock()
	t.feeds[ch] = struct{}{}
	t.mu.Unlock()
	return ch, func() {
		t.mu.Lock()
		delete(t.feeds, ch)
		t.mu.Unlock()
	}
}

// publish hands a record to all who watch; the lock is held.
func (t *Tracker) publish(r Record) {
	for ch := range t.feeds {
		select {
		case ch <- r:
		default:
		}
	}
}

func newSeries(k key, sink Sink, total *series) *series {
	s := &series{key: k, sink: sink, total: total, windows: map[Metric][]*window{}}
	for _, m := range Metrics {
		for _, span := range spans {
			s.windows[m] = append(s.windows[m], newWindow(span.slots, span.slot))
		}
	}
	s.tokens, s.ends, s.all = newCounter(), newCounter(), newCounter()
	return s
}

func (s *series) observe(m Metric, d time.Duration, now time.Time) {
	for _, w := range s.windows[m] {
		w.record(d, now)
	}
	if s.total != nil {
		s.total.observe(m, d, now)
		s.sink.Observe(s.key.surface, s.key.model, m, d)
	}
}

// count counts tokens.
func (s *series) count(n int, now time.Time) {
	s.tokens.record(n, now)
	if s.total != nil {
		s.total.count(n, now)
	}
}

func (s *series) end(r Record, answered bool) {
	now := r.Arrived.Add(time.Duration(r.Total * float64(time.Millisecond)))
	s.all.record(1, now)
	if answered {
		s.ends.record(1, now)
	}
	if s.total != nil {
		s.total.end(r, answered)
		s.sink.Ended(r)
	}
}

// counter counts over every span.
type counter []*countWindow

type countWindow struct {
	slots []int64
	slot  time.Duration
	at    int
	since time.Time
}

func newCounter() counter {
	c := make(counter, len(spans))
	for i, span := range spans {
		c[i] = &countWindow{slots: make([]int64, span.slots), slot: span.slot}
	}
	return c
}

func (c counter) record(n int, now time.Time) {
	for _, w := range c {
		w.turn(now)
		w.slots[w.at] += int64(n)
	}
}

func (c counter) sum(span int, now time.Time) int64 {
	c[span].turn(now)
	total := int64(0)
	for _, n := range c[span].slots {
		total += n
	}
	return total
}

func (w *countWindow) turn(now time.Time) {
	if w.since.IsZero() {
		w.since = now
		return
	}
	steps := int(now.Sub(w.since) / w.slot)
	if steps <= 0 {
		return
	}
	w.since = w.since.Add(time.Duration(steps) * w.slot)
	for range min(steps, len(w.slots)) {
		w.at = (w.at + 1) % len(w.slots)
		w.slots[w.at] = 0
	}
}
