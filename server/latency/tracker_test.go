package latency

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

var t0 = time.Unix(1_000_000, 0)

func after(d time.Duration) time.Time { return t0.Add(d) }

type sink struct {
	seen  map[Metric]int
	ended []Record
}

func (s *sink) Observe(_, _ string, m Metric, _ time.Duration) { s.seen[m]++ }
func (s *sink) Ended(r Record)                                 { s.ended = append(s.ended, r) }

func track() (*Tracker, *sink) {
	s := &sink{seen: map[Metric]int{}}
	return New(s), s
}

func start(id string, at time.Time) Start {
	return Start{ID: id, Surface: "openai", Model: "guide", Stream: true, Arrived: at}
}

func TestARequestsAnatomy(t *testing.T) {
	tr, s := track()
	r := tr.Begin(start("a", t0))
	require.Equal(t, Running, tr.Records(9)[0].Outcome)
	r.Tokens(1, after(200*time.Millisecond))
	r.Tokens(0, after(210*time.Millisecond))
	r.Tokens(1, after(220*time.Millisecond))
	r.Tokens(2, after(300*time.Millisecond))
	end := &infer.End{Reason: infer.FinishStop, Usage: infer.Usage{PromptTokens: 50, CachedTokens: 40, CompletionTokens: 5},
		Anatomy: infer.Anatomy{Queue: 30 * time.Millisecond, Prefill: 100 * time.Millisecond}}
	r.Finish(OK, 200, "", end, after(400*time.Millisecond))
	r.Finish(Failed, 500, "", nil, after(500*time.Millisecond))

	want := Record{Start: start("a", t0), Outcome: OK, Status: 200, Finish: "stop",
		PromptTokens: 50, CachedTokens: 40, CompletionTokens: 5,
		Queue: 30, Prefill: 100, TTFT: 200, Total: 400, TPOT: 50, MaxITL: 80}
	require.Equal(t, []Record{want}, tr.Records(9))
	require.Equal(t, []Record{want}, s.ended)
	require.Equal(t, map[Metric]int{TTFT: 1, ITL: 2, TPOT: 1, QueueWait: 1, EndToEnd: 1}, s.seen)

	w := tr.Windows(after(450 * time.Millisecond))
	require.Equal(t, w[:3], tr.Total(after(450*time.Millisecond)))
	require.Len(t, w, 6)
	require.Empty(t, w[1].Surface+w[1].Model, "all requests come first")
	require.Equal(t, "openai", w[4].Surface)
	require.Equal(t, w[1].Metrics, w[4].Metrics, "there is only that series")
	require.Equal(t, "1m", w[1].Window)
	require.EqualValues(t, 1, w[1].Answered)
	require.EqualValues(t, 4, w[1].Tokens)
	require.EqualValues(t, 2, w[1].Metrics[ITL].Count)
	require.InDelta(t, 80, w[1].Metrics[ITL].Max, 1)
	require.InDelta(t, 20, w[1].Metrics[ITL].P50, 0.5)
}

func TestWindowsForget(t *testing.T) {
	tr, _ := track()
	for i := range 120 { // a request a second
		r := tr.Begin(start(fmt.Sprint(i), after(time.Duration(i)*time.Second)))
		r.Tokens(1, after(time.Duration(i)*time.Second+time.Duration(i)*time.Millisecond))
		r.Finish(ClientGone, 499, "", nil, after(time.Duration(i)*time.Second+500*time.Millisecond))
	}
	counts := map[string]int64{}
	for _, w := range tr.Windows(after(119*time.Second + 600*time.Millisecond)) {
		counts[w.Window] = w.Metrics[TTFT].Count
		require.Equal(t, w.Metrics[TTFT].Count, w.Tokens)
		require.Zero(t, w.Answered)
	}
	require.EqualValues(t, 1, counts["1s"])
	require.InDelta(t, 58, counts["1m"], 3)
	require.EqualValues(t, 120, counts["15m"])
	for _, w := range tr.Windows(after(time.Hour)) {
		require.Zero(t, w.Metrics[TTFT].Count, w.Window)
		require.Zero(t, w.Requests)
	}
	require.Len(t, tr.Records(1000), 120)
	require.Equal(t, "119", tr.Records(1)[0].ID)
	require.Empty(t, tr.Records(-1))
}

func TestASlowWatcherLosesRecordsAndHoldsUpNobody(t *testing.T) {
	tr, _ := track()
	feed, stop := tr.Watch()
	for i := range 2 * feedRoom {
		tr.Begin(start(fmt.Sprint(i), t0)).Finish(Shed, 429, infer.ShedWait, nil, t0)
	}
	require.Len(t, feed, feedRoom)
	require.Equal(t, Running, (<-feed).Outcome)
	first := <-feed
	require.Equal(t, Shed, first.Outcome)
	require.Equal(t, infer.ShedWait, first.Shed)
	stop()
	require.Len(t, tr.Records(1000), keepRecords)
}
