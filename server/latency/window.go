package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Values are recorded in units of 100 µs, up to 20 minutes, with two digits.
const (
	unit    = 100 * time.Microsecond
	highest = int64(20 * time.Minute / unit)
	digits  = 2
)

// spans are the windows that are kept, each in a few slots that are emptied in
// turn; a window thus covers up to a slot less than its name says.
var spans = []struct {
	name  string
	slots int
	slot  time.Duration
}{
	{"1s", 4, 250 * time.Millisecond},
	{"1m", 12, 5 * time.Second},
	{"15m", 15, time.Minute},
}

// window is one metric over one span.
type window struct {
	slots []*hdrhistogram.Histogram
	slot  time.Duration
	at    int       // the slot that is filled
	since time.Time // when it began
}

func newWindow(slots int, slot time.Duration) *window {
	return &window{slots: make([]*hdrhistogram.Histogram, slots), slot: slot}
}

// turn empties the slots that are out of the window now.
func (w *window) turn(now time.Time) {
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
		if h := w.slots[w.at]; h != nil {
			h.Reset()
		}
	}
}

func (w *window) record(d time.Duration, now time.Time) {
	w.turn(now)
	if w.slots[w.at] == nil {
		w.slots[w.at] = hdrhistogram.New(1, highest, digits)
	}
	// What is out of range counts as its end.
	_ = w.slots[w.at].RecordValue(min(max(int64((d+unit/2)/unit), 1), highest))
}

// Summary describes one metric over a window. Times are in milliseconds.
type Summary struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (w *window) summary(now time.Time) Summary {
	w.turn(now)
	all := hdrhistogram.New(1, highest, digits)
	for _, h := range w.slots {
		if h != nil && h.TotalCount() > 0 {
			all.Merge(h)
		}
	}
	ms := func(v int64) float64 { return float64(v) * float64(unit) / float64(time.Millisecond) }
	s := Summary{Count: all.TotalCount()}
	if s.Count > 0 {
		s.P50, s.P95, s.P99 = ms(all.ValueAtQuantile(50)), ms(all.ValueAtQuantile(95)), ms(all.ValueAtQuantile(99))
		s.Max = ms(all.Max())
	}
	return s
}
