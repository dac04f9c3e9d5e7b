package stress

import (
	"fmt"
	"math"

	"samovar/app/bench/report"
)

// Metric is a number that a scenario is judged by.
type Metric string

// The metrics.
const (
	Answered       Metric = "answered"
	Unanswered     Metric = "unanswered"
	BareSheds      Metric = "bare_sheds"
	RefusedCount   Metric = "refused"
	FailedCount    Metric = "failed"
	Timeouts       Metric = "timeouts"
	UnreachedCount Metric = "unreachable"
	BrokenCount    Metric = "broken"
	LiveP99        Metric = "live_p99"
	LiveFailures   Metric = "live_failures"
	Left           Metric = "left"
	FirstRetries   Metric = "first_retries"
	Recovered      Metric = "recovered"
	HealthFailures Metric = "health_failures"
	HealthP99      Metric = "health_p99"
	ServerGrowth   Metric = "server_rss_growth"
	WorkerGrowth   Metric = "worker_rss_growth"
	Drift          Metric = "p95_drift"
	MixedITL       Metric = "mixed_itl_p99"
	ShortTTFT      Metric = "short_ttft"
)

// metrics says in words what each is. A slack on a slow machine stretches times
// only.
var metrics = map[Metric]struct {
	words, unit string
	isTime      bool
}{
	Answered:       {words: "requests answered"},
	Unanswered:     {words: "requests of patient clients without an answer"},
	BareSheds:      {words: "requests shed without Retry-After"},
	RefusedCount:   {words: "requests refused (4xx)"},
	FailedCount:    {words: "requests failed (5xx)"},
	Timeouts:       {words: "requests not answered in time"},
	UnreachedCount: {words: "connections that failed"},
	BrokenCount:    {words: "streams that broke off"},
	LiveP99:        {words: "/health/live p99", unit: " ms", isTime: true},
	LiveFailures:   {words: "/health/live not 200"},
	Left:           {words: "requests, cells and sequences left in the server's counters"},
	FirstRetries:   {words: "first retries, made when Retry-After said, that succeed", unit: " %"},
	Recovered:      {words: "a request after the overload ÷ before it", isTime: true},
	HealthFailures: {words: "health checks not 200"},
	HealthP99:      {words: "health checks p99", unit: " ms", isTime: true},
	ServerGrowth:   {words: "growth of the server's memory", unit: " %"},
	WorkerGrowth:   {words: "growth of the worker's memory", unit: " %"},
	Drift:          {words: "drift of the p95 latency", unit: " %", isTime: true},
	MixedITL:       {words: "ITL p99 of streams while a long prompt prefills", unit: " ms", isTime: true},
	ShortTTFT:      {words: "TTFT of a short request behind the long one, of first-come-first-served's", unit: " %"},
}

func (m Metric) print(v float64) string {
	text := report.Millis(v)
	if v == math.Trunc(v) {
		text = fmt.Sprintf("%.0f", v)
	}
	return text + metrics[m].unit
}

// Limit is what a metric is held to: at most Value, or at least.
type Limit struct {
	Metric  Metric
	AtLeast bool
	Value   float64
}

func atMost(m Metric, value float64) Limit  { return Limit{m, false, value} }
func atLeast(m Metric, value float64) Limit { return Limit{m, true, value} }

// judge holds a number to the limit.
func (l Limit) judge(got, slack float64) report.Verdict {
	want, sign, pass := l.Value, "≤ ", false
	if metrics[l.Metric].isTime {
		want *= slack
	}
	if l.AtLeast {
		sign, pass = "≥ ", got >= want
	} else {
		pass = got <= want
	}
	if want == 0 && !l.AtLeast {
		sign = "" // none
	}
	return report.Verdict{Name: metrics[l.Metric].words, Pass: pass, Got: l.Metric.print(got), Want: sign + l.Metric.print(want)}
}

// always holds for every scenario.
var always = []Limit{
	atLeast(Answered, 1),
	atMost(BareSheds, 0),
	atMost(RefusedCount, 0),
	atMost(FailedCount, 0),
	atMost(Timeouts, 0),
	atMost(UnreachedCount, 0),
	atMost(BrokenCount, 0),
	atMost(LiveP99, 20),
	atMost(LiveFailures, 0),
	atMost(Left, 0),
}

// count makes the metrics that follow from what became of the requests.
func count(samples []*Sample) map[Metric]float64 {
	m := map[Metric]float64{Answered: 0, BareSheds: 0, RefusedCount: 0, FailedCount: 0, Timeouts: 0, UnreachedCount: 0, BrokenCount: 0}
	of := map[Outcome]Metric{Refused: RefusedCount, Failed: FailedCount, Timeout: Timeouts, Unreachable: UnreachedCount, Broken: BrokenCount}
	patient, unanswered, retried, kept := 0, 0, 0, 0
	for _, s := range samples {
		if s.Ask.Expendable {
			continue
		}
		if s.Outcome() == OK {
			m[Answered]++
		}
		for i, a := range s.Attempts {
			if bad, ok := of[a.Outcome]; ok {
				m[bad]++
			}
			if a.Outcome == Shed && a.RetryAfter < 0 {
				m[BareSheds]++
			}
			if i == 1 && s.Ask.Patient {
				retried++
				if a.Outcome == OK {
					kept++
				}
			}
		}
		if s.Ask.Patient {
			patient++
			if s.Outcome() != OK {
				unanswered++
			}
		}
	}
	if patient > 0 {
		m[Unanswered] = float64(unanswered)
	}
	if retried > 0 {
		m[FirstRetries] = 100 * float64(kept) / float64(retried)
	}
	return m
}
