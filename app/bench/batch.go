package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"samovar/app/bench/report"
	"samovar/engine/infer"
)

// BatchConfig says what Batch measures.
type BatchConfig struct {
	Config
	// Status is the engine's.
	Status func() infer.Status
	// Sizes are the numbers of streams that decode together.
	Sizes []int
	// LongTokens and SharedTokens are about how long the prompts of the mixed and of
	// the shared run are.
	LongTokens, SharedTokens int
}

// BatchResult is what Batch measured.
type BatchResult struct {
	Tokens       int           `json:"tokens"`
	Rounds       int           `json:"rounds"`
	PromptTokens int           `json:"prompt_tokens"`
	Decode       []Measurement `json:"decode"`
	Mixed        Mixed         `json:"mixed"`
	Shared       Shared        `json:"shared"`
	Baseline     Baseline      `json:"baseline"`
}

// Mixed is four streams that decode while a long prompt is prefilled, and a short
// request that comes behind the long one. Times are in milliseconds.
type Mixed struct {
	// Skipped says why it was not measured; "" if it was.
	Skipped          string  `json:"skipped,omitempty"`
	LongPromptTokens int     `json:"long_prompt_tokens"`
	LongTTFT         float64 `json:"long_ttft_ms"`
	// ITLBefore and ITLDuring are of the four streams.
	ITLBefore Quantiles `json:"itl_before"`
	ITLDuring Quantiles `json:"itl_during"`
	// ShortTTFT is the short request's. First come, first served would give what the
	// long prompt still took plus what the short one takes alone.
	ShortTTFT      float64 `json:"short_ttft_ms"`
	ShortTTFTAlone float64 `json:"short_ttft_alone_ms"`
	ShortTTFTQueue float64 `json:"short_ttft_first_come_ms"`
	RatioToQueue   float64 `json:"ratio_to_first_come"`
}

// Quantiles sum up times, in milliseconds.
type Quantiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func quantiles(ms []float64) Quantiles {
	if len(ms) == 0 {
		return Quantiles{}
	}
	s := slices.Sorted(slices.Values(ms))
	at := func(q float64) float64 { return s[min(len(s)-1, int(q*float64(len(s))))] }
	return Quantiles{Count: len(s), P50: at(.5), P95: at(.95), P99: at(.99), Max: s[len(s)-1]}
}

// Shared is eight requests with a long common beginning, at once.
type Shared struct {
	Requests int `json:"requests"`
	// PromptTokens is the sum of all prompts, CachedTokens the part that was reused,
	// Computed the prefill rows that the worker computed meanwhile.
	PromptTokens int    `json:"prompt_tokens"`
	CachedTokens int    `json:"cached_tokens"`
	Computed     uint64 `json:"computed_rows"`
	// MostUsed is the most cells in use, MostShared the most that were shared.
	MostUsed   int `json:"most_used_cells"`
	MostShared int `json:"most_shared_cells"`
	// Same counts the answers that are the same, token for token, as computed alone
	// and cold. Those that differ are no sign of a fault as such: the kernels' rounding
	// depends on the shape of a batch. TestSameness (engine/worker) tells faults.
	Same int `json:"same_as_alone"`
}

// Baseline is the table of single requests, in milliseconds.
type Baseline struct {
	// Live and Ready are from the start of the program; Load is the model's part.
	Live  float64 `json:"live_ms"`
	Ready float64 `json:"ready_ms"`
	Load  float64 `json:"load_ms"`
	// First is the first request, Warm the same one again.
	First float64 `json:"first_ms"`
	Warm  float64 `json:"warm_ms"`
	// Answers are whole requests by the length of their answer.
	Answers []BaselineAnswer `json:"answers"`
}

// BaselineAnswer is requests with an answer of so many tokens, one after the other.
type BaselineAnswer struct {
	Tokens int       `json:"tokens"`
	Times  Quantiles `json:"times"`
}

// Batch measures what happens when requests meet: how many streams decode
// together, what a long prompt does to them, and what a common beginning saves.
func Batch(ctx context.Context, c BatchConfig) (BatchResult, error) {
	r := BatchResult{Tokens: c.Tokens, Rounds: c.Rounds}
	var err error
	if r.Baseline, err = baseline(ctx, c); err != nil {
		return r, err
	}
	probe, err := stream(ctx, c.BaseURL, prompt(0), 16)
	if err != nil {
		return r, err
	}
	r.PromptTokens = probe.prompt
	for _, n := range c.Sizes {
		m, err := measure(ctx, c.Config, n, probe.prompt)
		if err != nil {
			return r, err
		}
		r.Decode = append(r.Decode, m)
	}
	if r.Shared, err = shared(ctx, c); err != nil {
		return r, err
	}
	r.Mixed, err = mixed(ctx, c)
	return r, err
}

// baselineRequests is how many requests the quantiles of short answers are of.
const baselineRequests = 20

func baseline(ctx context.Context, c BatchConfig) (Baseline, error) {
	c.Progress("single requests")
	var b Baseline
	whole := func(text string, tokens int) (float64, error) {
		s, err := stream(ctx, c.BaseURL, text, tokens)
		return float64(s.end.Sub(s.start).Microseconds()) / 1000, err
	}
	var err error
	if b.First, err = whole("What can you do?", 50); err != nil {
		return b, err
	}
	if b.Warm, err = whole("What can you do?", 50); err != nil {
		return b, err
	}
	for _, length := range []struct{ tokens, times int }{{50, baselineRequests}, {100, baselineRequests / 2}, {500, 3}} {
		var all []float64
		for i := range length.times {
			ms, err := whole(fmt.Sprintf("Request %d of %d: tell me of tea.", i, length.tokens), length.tokens)
			if err != nil {
				return b, err
			}
			all = append(all, ms)
		}
		b.Answers = append(b.Answers, BaselineAnswer{Tokens: length.tokens, Times: quantiles(all)})
	}
	return b, nil
}

// words makes a text of about so many tokens that begins like no other.
func words(ctx context.Context, baseURL, tag string, tokens int) (string, error) {
	text := func(tag string, n int) string {
		var b strings.Builder
		b.WriteString(tag)
		for i := range n {
			fmt.Fprintf(&b, " word%d", i*7919%10007)
		}
		return b.String()
	}
	// The sample begins differently, or the server would have a part of the text already.
	const sample = 100
	s, err := stream(ctx, baseURL, text("Sample. "+tag, sample), 2)
	if err != nil {
		return "", err
	}
	return text(tag, sample*tokens/s.prompt), nil
}

// poll is how often the engine's status is looked at; nothing depends on it but
// how much of the streams' time counts.
const poll = 20 * time.Millisecond

// until waits until the status is as wanted.
func (c BatchConfig) until(ctx context.Context, good func(infer.Status) bool) error {
	return until(ctx, c.Status, good)
}

func until(ctx context.Context, status func() infer.Status, good func(infer.Status) bool) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !good(status()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

const (
	mixedStreams = 4
	// mixedBefore is how long, in decode rows of each stream, they run alone first.
	mixedBefore = 150
	shortTokens = 8
)

func mixed(ctx context.Context, c BatchConfig) (m Mixed, err error) {
	c.Progress("a long prompt beside streams")
	long, err := words(ctx, c.BaseURL, "Long.", c.LongTokens)
	if err != nil {
		return m, err
	}
	alone, err := stream(ctx, c.BaseURL, "A short question, asked alone: what is tea?", shortTokens)
	if err != nil {
		return m, err
	}
	m.ShortTTFTAlone = millis(alone.ttft())

	decoding, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		streamed
		err error
	}
	streams := make(chan result, mixedStreams)
	before := c.Status().Steps.DecodeRows
	for i := range mixedStreams {
		go func() {
			s, err := streamUntil(decoding, c.BaseURL, []message{{"user", prompt(i)}}, 100_000)
			streams <- result{s, err}
		}()
	}
	ended := func() bool { return len(streams) > 0 }
	if err := c.until(ctx, func(s infer.Status) bool {
		return ended() || s.Steps.DecodeRows-before > mixedStreams*mixedBefore
	}); err != nil {
		return m, err
	}
	if ended() {
		m.Skipped = "This model ends its answers by itself, too soon to be measured beside a long prompt: take a --shape."
		stop()
		for range mixedStreams {
			if s := <-streams; s.err != nil {
				return m, s.err
			}
		}
		return m, nil
	}
	longDone := make(chan result, 1)
	prefilled := c.Status().Steps.PrefillRows
	go func() {
		s, err := stream(ctx, c.BaseURL, long, shortTokens)
		longDone <- result{s, err}
	}()
	if err := c.until(ctx, func(s infer.Status) bool { return s.Steps.PrefillRows-prefilled > 256 }); err != nil {
		return m, err
	}
	short, err := stream(ctx, c.BaseURL, "A short question, asked behind a long one: what is tea?", shortTokens)
	if err != nil {
		return m, err
	}
	l := <-longDone
	stop()
	if l.err != nil {
		return m, l.err
	}
	m.LongPromptTokens, m.LongTTFT = l.prompt, millis(l.ttft())
	m.ShortTTFT = millis(short.ttft())
	m.ShortTTFTQueue = millis(l.texts[0].Sub(short.start)) + m.ShortTTFTAlone
	m.RatioToQueue = m.ShortTTFT / m.ShortTTFTQueue
	var calm, busy []float64
	for range mixedStreams {
		s := <-streams
		if s.err != nil {
			return m, s.err
		}
		for i := 1; i < len(s.texts); i++ {
			gap := millis(s.texts[i].Sub(s.texts[i-1]))
			switch {
			case s.texts[i].Before(l.start):
				calm = append(calm, gap)
			case s.texts[i-1].After(l.start) && s.texts[i].Before(l.texts[0]):
				busy = append(busy, gap)
			}
		}
	}
	m.ITLBefore, m.ITLDuring = quantiles(calm), quantiles(busy)
	return m, nil
}

const (
	sharers      = 8
	sharedAnswer = 32
)

func shared(ctx context.Context, c BatchConfig) (s Shared, err error) {
	c.Progress("a common beginning")
	text, err := words(ctx, c.BaseURL, "Common.", c.SharedTokens)
	if err != nil {
		return s, err
	}
	ask := func(i int) string { return fmt.Sprintf("%s Question %d?", text, i) }
	cold := func() error { _, err := c.Raw(ctx, 1, 2, 1); return err } // empties the pool
	if err := cold(); err != nil {
		return s, err
	}
	before := c.Status().Steps.PrefillRows
	type result struct {
		i int
		streamed
		err error
	}
	answers := make(chan result, sharers)
	for i := range sharers {
		go func() {
			a, err := stream(ctx, c.BaseURL, ask(i), sharedAnswer)
			answers <- result{i, a, err}
		}()
	}
	together := make([]streamed, sharers)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for got := 0; got < sharers; {
		select {
		case a := <-answers:
			if a.err != nil {
				return s, a.err
			}
			got++
			together[a.i] = a.streamed
			s.PromptTokens += a.prompt
			s.CachedTokens += a.cached
		case <-tick.C:
			p := c.Status().Pool
			s.MostUsed, s.MostShared = max(s.MostUsed, p.Used), max(s.MostShared, p.Shared)
		}
	}
	if err := c.until(ctx, func(st infer.Status) bool { return st.Active == 0 && st.Pool.Pinned == 0 }); err != nil {
		return s, err
	}
	s.Requests, s.Computed = sharers, c.Status().Steps.PrefillRows-before
	for i, a := range together {
		if err := cold(); err != nil {
			return s, err
		}
		alone, err := stream(ctx, c.BaseURL, ask(i), sharedAnswer)
		if err != nil {
			return s, err
		}
		if alone.text == a.text {
			s.Same++
		}
	}
	return s, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BatchReport is a BatchResult with what one needs to compare it with another.
type BatchReport struct {
	Version string    `json:"version"`
	Made    time.Time `json:"made"`
	Machine Machine   `json:"machine"`
	Model   Model     `json:"model"`
	BatchResult
}

// WriteJSON prints the report for programs.
func (r BatchReport) WriteJSON(w io.Writer) error {
	return writeJSON(w, r)
}

// The limits that Page holds the numbers to (the numbers that count, DESIGN.md).
const (
	leastRatio   = 0.95
	mostITL      = 500.0 // ms
	mostToQueue  = 0.25
	leastRatioOf = 4 // streams
)

// Page returns the report for people.
func (r BatchReport) Page() report.Report {
	ms := report.Millis
	decode := report.Table{Head: []string{"streams", "HTTP tok/s", "raw tok/s", "HTTP ÷ raw", "TTFT ms"}}
	ours, raw := report.Series{Name: "through HTTP"}, report.Series{Name: "raw loop"}
	var verdicts []report.Verdict
	for _, m := range r.Decode {
		decode.Rows = append(decode.Rows, []string{fmt.Sprint(m.Streams), fmt.Sprintf("%.1f", m.HTTP.Median),
			fmt.Sprintf("%.1f", m.Raw.Median), fmt.Sprintf("%.3f", m.RatioToRaw), ms(m.TTFTMillis)})
		ours.Values, raw.Values = append(ours.Values, m.HTTP.Median), append(raw.Values, m.Raw.Median)
		if m.Streams == leastRatioOf || m.Streams == 2*leastRatioOf {
			verdicts = append(verdicts, report.Verdict{Name: fmt.Sprintf("%d streams ÷ raw loop", m.Streams), Pass: m.RatioToRaw >= leastRatio,
				Got: fmt.Sprintf("%.3f", m.RatioToRaw), Want: fmt.Sprintf("≥ %.2f", leastRatio)})
		}
	}
	x := make([]string, len(r.Decode))
	for i, m := range r.Decode {
		x[i] = fmt.Sprint(m.Streams)
	}
	mx, sh, b := r.Mixed, r.Shared, r.Baseline
	row := func(name string, q Quantiles) []string {
		return []string{name, fmt.Sprint(q.Count), ms(q.P50), ms(q.P95), ms(q.P99), ms(q.Max)}
	}
	times := report.Table{Head: []string{"what", "n", "p50 ms", "p95 ms", "p99 ms", "max ms"}}
	for _, a := range b.Answers {
		times.Rows = append(times.Rows, row(fmt.Sprintf("answer of %d tokens", a.Tokens), a.Times))
	}
	beside := report.Section{Title: "A long prompt beside four streams", Text: mx.Skipped}
	if mx.Skipped == "" {
		beside.Text = fmt.Sprintf("A prompt of %d tokens; a short request comes behind it.", mx.LongPromptTokens)
		beside.Verdicts = []report.Verdict{
			{Name: "ITL p99 during the prefill", Pass: mx.ITLDuring.P99 <= mostITL, Got: ms(mx.ITLDuring.P99) + " ms", Want: "≤ " + ms(mostITL) + " ms"},
			{Name: "TTFT of the short request ÷ first come, first served", Pass: mx.RatioToQueue <= mostToQueue, Got: fmt.Sprintf("%.3f", mx.RatioToQueue), Want: fmt.Sprintf("≤ %.2f", mostToQueue)},
		}
		beside.Tables = []report.Table{
			{Head: []string{"what", "n", "p50 ms", "p95 ms", "p99 ms", "max ms"}, Rows: [][]string{row("ITL before", mx.ITLBefore), row("ITL during", mx.ITLDuring)}},
			{Head: []string{"what", "ms"}, Rows: [][]string{{"TTFT of the long request", ms(mx.LongTTFT)}, {"TTFT of the short one", ms(mx.ShortTTFT)},
				{"alone", ms(mx.ShortTTFTAlone)}, {"first come, first served", ms(mx.ShortTTFTQueue)}}},
		}
	}
	return report.Report{
		Title: "Samovar bench batch", Made: r.Made,
		Facts: facts(r.Version, r.Machine, r.Model),
		Sections: []report.Section{
			{Title: "Baseline", Text: "Single requests, one after the other; cold start is from the start of the program.", Tables: []report.Table{
				{Head: []string{"what", "ms"}, Rows: [][]string{
					{"cold start → live", ms(b.Live)}, {"cold start → ready", ms(b.Ready)}, {"of it, loading the model", ms(b.Load)},
					{"first request, 50 tokens", ms(b.First)}, {"the same again, warm", ms(b.Warm)}}},
				times}},
			{Title: "Streams together", Text: fmt.Sprintf("%d tokens after a prompt of %d, median of %d rounds against the raw llama.cpp loop in the same worker.", r.Tokens, r.PromptTokens, r.Rounds),
				Verdicts: verdicts, Tables: []report.Table{decode},
				Plots: []report.Plot{{Title: "Tokens per second", Kind: report.Bars, X: "streams", Y: "tokens/s", Labels: x, Series: []report.Series{ours, raw}}}},
			beside,
			{Title: "A common beginning", Text: fmt.Sprintf("%d requests at once that begin alike. Where two tokens are as good as equally likely, the shape of a batch decides between them; random weights have many such places.", sh.Requests),
				Verdicts: []report.Verdict{
					{Name: "the common part is computed once", Pass: int(sh.Computed)+sh.CachedTokens <= sh.PromptTokens+sh.Requests, Got: fmt.Sprint(sh.Computed) + " rows", Want: fmt.Sprintf("%d prompt tokens − %d reused", sh.PromptTokens, sh.CachedTokens)},
				},
				Tables: []report.Table{{Head: []string{"what", "tokens"}, Rows: [][]string{{"prompts", fmt.Sprint(sh.PromptTokens)}, {"reused", fmt.Sprint(sh.CachedTokens)},
					{"computed", fmt.Sprint(sh.Computed)}, {"most cells in use", fmt.Sprint(sh.MostUsed)}, {"most cells shared", fmt.Sprint(sh.MostShared)}}},
					{Head: []string{"answers", ""}, Rows: [][]string{{"the same, token for token, as computed alone", fmt.Sprintf("%d of %d", sh.Same, sh.Requests)}}}}},
		},
	}
}

// Health asks a server for its engine's status, and says whether it answered.
func Health(ctx context.Context, baseURL string, st *infer.Status) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/health", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(st) == nil
}
