package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"samovar/app/bench/report"
	"samovar/engine/infer"
)

// Ending is a way for KV to leave the pool.
type Ending string

// The endings, in the order in which Resume measures them.
const (
	// Hot did not leave at all.
	Hot Ending = "hot"
	// Evicted made room for others; the worker lives on.
	Evicted Ending = "evicted"
	// Killed is kill -9 of the worker, Restarted a clean end and a new start.
	Killed    Ending = "killed"
	Restarted Ending = "restarted"
)

// ResumeConfig says what Resume measures.
type ResumeConfig struct {
	// Lengths are about how many tokens the prompts have; Rounds is how often each
	// comes back after each ending.
	Lengths  []int
	Rounds   int
	Progress func(what string)
	// Serve serves while use runs. What one call kept, the next finds.
	Serve func(ctx context.Context, use func(ResumeServer) error) error
}

// ResumeServer is a ready server with nothing else to do.
type ResumeServer struct {
	BaseURL string
	Status  func() infer.Status
	// Evict empties the pool. Kill ends the worker as kill -9 does, and returns when
	// the next one is ready.
	Evict, Kill func(ctx context.Context) error
}

// ResumeResult is what Resume measured.
type ResumeResult struct {
	Rounds  int            `json:"rounds"`
	Lengths []ResumeLength `json:"lengths"`
	// KVBytes is the size of what was saved in the pool, WrittenBytes that of the files
	// it became, at the first server.
	KVBytes      uint64  `json:"kv_bytes"`
	WrittenBytes uint64  `json:"written_bytes"`
	WrittenRatio float64 `json:"written_to_kv"`
	// Disproved counts restored states that were wrong.
	Disproved uint64 `json:"disproved"`
}

// ResumeLength is one prompt, computed once and then resumed. Times to the first token
// are in milliseconds, by the client's clock; loading a model is no part of them.
type ResumeLength struct {
	PromptTokens int            `json:"prompt_tokens"`
	Cold         float64        `json:"cold_ttft_ms"`
	Resumed      []ResumeEnding `json:"resumed"`
}

// ResumeEnding is how a prompt came back after one ending.
type ResumeEnding struct {
	Ending Ending    `json:"ending"`
	TTFT   Quantiles `json:"ttft"`
	// Ratio is cold ÷ median.
	Ratio float64 `json:"cold_to_resumed"`
	// Where the time went, as the server says: medians in milliseconds.
	Queue   float64 `json:"queue_ms"`
	Restore float64 `json:"restore_ms"`
	Prefill float64 `json:"prefill_ms"`
	// LeastCached is the fewest prompt tokens that were reused, in any round.
	LeastCached int `json:"least_cached_tokens"`
	all         []streamed
}

// sum works out what is told of all rounds.
func (e *ResumeEnding) sum(cold float64) {
	part := func(name string) float64 {
		var all []float64
		for _, s := range e.all {
			all = append(all, s.server[name])
		}
		return median(all)
	}
	var times []float64
	for _, s := range e.all {
		times = append(times, s.firstToken())
	}
	e.TTFT, e.Ratio = quantiles(times), cold/median(times)
	e.Queue, e.Restore, e.Prefill = part("queue"), part("restore"), part("prefill")
}

// Resume measures what it costs to come back to a prompt after everything that may have
// happened to its KV meanwhile.
func Resume(ctx context.Context, c ResumeConfig) (ResumeResult, error) {
	m := resuming{ResumeConfig: c, texts: make([]string, len(c.Lengths)), result: ResumeResult{Rounds: c.Rounds, Lengths: make([]ResumeLength, len(c.Lengths))}}
	if err := c.Serve(ctx, func(s ResumeServer) error { return m.first(ctx, s) }); err != nil {
		return m.result, err
	}
	for round := range c.Rounds {
		c.Progress(fmt.Sprintf("after a restart: round %d of %d", round+1, c.Rounds))
		if err := c.Serve(ctx, func(s ResumeServer) error { return m.comeBack(ctx, s, Restarted, nil) }); err != nil {
			return m.result, err
		}
	}
	for i := range m.result.Lengths {
		l := &m.result.Lengths[i]
		for j := range l.Resumed {
			l.Resumed[j].sum(l.Cold)
		}
	}
	return m.result, nil
}

// resuming is a Resume that goes on.
type resuming struct {
	ResumeConfig
	texts  []string
	result ResumeResult
}

// first computes the prompts, and measures what needs no second server.
func (m *resuming) first(ctx context.Context, s ResumeServer) error {
	before := s.Status()
	for i, tokens := range m.Lengths {
		m.Progress(fmt.Sprintf("cold: about %d tokens", tokens))
		text, err := words(ctx, s.BaseURL, fmt.Sprintf("Prompt %d.", i), tokens)
		if err != nil {
			return err
		}
		m.texts[i] = text
		got, err := stream(ctx, s.BaseURL, text, resumeAnswer)
		if err != nil {
			return err
		}
		m.result.Lengths[i].PromptTokens, m.result.Lengths[i].Cold = got.prompt, got.firstToken()
		// Right after it, while nothing has had reason to make it leave.
		for range m.Rounds {
			if err := m.ask(ctx, s, i, Hot, nil); err != nil {
				return err
			}
		}
	}
	// From here on the measured prompts are on disk.
	if err := s.Evict(ctx); err != nil {
		return err
	}
	if err := s.saved(ctx); err != nil {
		return err
	}
	kept := s.Status().Kept
	cell := uint64(s.Status().Model.CellBytes)
	m.result.KVBytes = (kept.SavedTokens - before.Kept.SavedTokens) * cell
	m.result.WrittenBytes = kept.WrittenBytes - before.Kept.WrittenBytes
	if m.result.KVBytes > 0 {
		m.result.WrittenRatio = float64(m.result.WrittenBytes) / float64(m.result.KVBytes)
	}
	for _, e := range []struct {
		name Ending
		by   func(context.Context) error
		each bool
	}{{Evicted, s.Evict, true}, {Killed, s.Kill, false}} {
		for round := range m.Rounds {
			m.Progress(fmt.Sprintf("%s: round %d of %d", e.name, round+1, m.Rounds))
			each := e.by
			if !e.each { // once for all prompts: each is a whole load
				if err := e.by(ctx); err != nil {
					return err
				}
				each = nil
			}
			if err := m.comeBack(ctx, s, e.name, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// resumeAnswer is how many tokens an answer has; only the first one's time counts.
const resumeAnswer = 2

// comeBack asks for all prompts again, each after the ending, if there is one.
func (m *resuming) comeBack(ctx context.Context, s ResumeServer, name Ending, ending func(context.Context) error) error {
	// A connection, a template and the like are made once, and no part of what counts.
	if _, err := stream(ctx, s.BaseURL, "Hello", resumeAnswer); err != nil {
		return err
	}
	for i := range m.texts {
		if err := m.ask(ctx, s, i, name, ending); err != nil {
			return err
		}
	}
	m.result.Disproved = max(m.result.Disproved, s.Status().Kept.Disproved)
	return s.saved(ctx)
}

func (m *resuming) ask(ctx context.Context, s ResumeServer, i int, name Ending, ending func(context.Context) error) error {
	if ending != nil {
		if err := ending(ctx); err != nil {
			return err
		}
		if err := s.saved(ctx); err != nil {
			return err
		}
	}
	got, err := stream(ctx, s.BaseURL, m.texts[i], resumeAnswer)
	if err != nil {
		return err
	}
	l := &m.result.Lengths[i]
	if n := len(l.Resumed); n == 0 || l.Resumed[n-1].Ending != name {
		l.Resumed = append(l.Resumed, ResumeEnding{Ending: name, LeastCached: got.cached})
	}
	e := &l.Resumed[len(l.Resumed)-1]
	e.all = append(e.all, got)
	e.LeastCached = min(e.LeastCached, got.cached)
	return nil
}

// saved waits until nothing waits to be written.
func (s ResumeServer) saved(ctx context.Context) error {
	return until(ctx, s.Status, func(st infer.Status) bool { return st.Active == 0 && st.Kept.QueueBytes == 0 })
}

// ResumeReport is a ResumeResult with what one needs to compare it with another.
type ResumeReport struct {
	Version string    `json:"version"`
	Made    time.Time `json:"made"`
	Machine Machine   `json:"machine"`
	Model   Model     `json:"model"`
	ResumeResult
}

// WriteJSON prints the report for programs.
func (r ResumeReport) WriteJSON(w io.Writer) error {
	return writeJSON(w, r)
}

// The limits that Page holds the numbers to (the numbers that count, DESIGN.md). They
// are for one length; from mustGain tokens on nothing may be slower than cold.
const (
	limitsAt     = 4096 // tokens
	leastHot     = 700
	leastWarm    = 400
	mustGain     = 512 // tokens
	mostWritten  = 1.05
	limitsWithin = 0.1
)

// Page returns the report for people.
func (r ResumeReport) Page() report.Report {
	ms := report.Millis
	times := report.Table{Head: []string{"prompt tokens", "cold ms"}}
	ratios := report.Table{Caption: "Cold ÷ resumed", Head: []string{"prompt tokens"}}
	var verdicts []report.Verdict
	var labels []string
	series := map[Ending]*report.Series{}
	var order []Ending
	for _, l := range r.Lengths {
		labels = append(labels, fmt.Sprint(l.PromptTokens))
		t, q := []string{fmt.Sprint(l.PromptTokens), ms(l.Cold)}, []string{fmt.Sprint(l.PromptTokens)}
		for _, e := range l.Resumed {
			if series[e.Ending] == nil {
				series[e.Ending] = &report.Series{Name: string(e.Ending)}
				order = append(order, e.Ending)
				times.Head, ratios.Head = append(times.Head, string(e.Ending)+" ms"), append(ratios.Head, string(e.Ending))
			}
			series[e.Ending].Values = append(series[e.Ending].Values, e.TTFT.P50)
			t, q = append(t, ms(e.TTFT.P50)), append(q, fmt.Sprintf("%.0f", e.Ratio))
			least := 0.0
			switch {
			case float64(l.PromptTokens) > limitsAt*(1-limitsWithin) && float64(l.PromptTokens) < limitsAt*(1+limitsWithin):
				if least = leastWarm; e.Ending == Hot {
					least = leastHot
				}
			case l.PromptTokens >= mustGain:
				least = 1
			default:
				continue
			}
			verdicts = append(verdicts, report.Verdict{Name: fmt.Sprintf("%d tokens, %s: cold ÷ resumed", l.PromptTokens, e.Ending),
				Pass: e.Ratio >= least, Got: fmt.Sprintf("%.0f", e.Ratio), Want: fmt.Sprintf("≥ %.0f", least)})
		}
		times.Rows, ratios.Rows = append(times.Rows, t), append(ratios.Rows, q)
	}
	plot := report.Plot{Title: "Time to first token", Kind: report.Bars, X: "prompt tokens", Y: "ms", Labels: labels}
	for _, e := range order {
		plot.Series = append(plot.Series, *series[e])
	}
	verdicts = append(verdicts,
		report.Verdict{Name: "bytes written ÷ KV bytes", Pass: r.WrittenRatio > 0 && r.WrittenRatio <= mostWritten, Got: fmt.Sprintf("%.3f", r.WrittenRatio), Want: fmt.Sprintf("≤ %.2f", mostWritten)},
		report.Verdict{Name: "restored states that were wrong", Pass: r.Disproved == 0, Got: fmt.Sprint(r.Disproved), Want: "0"})
	return report.Report{
		Title: "Samovar bench resume", Made: r.Made,
		Facts: facts(r.Version, r.Machine, r.Model),
		Sections: []report.Section{{
			Title: "Coming back",
			Text: fmt.Sprintf("Each prompt was computed once. Medians of %d rounds of the time to the first token: with its KV in the pool (hot), after it had to leave (evicted), after kill -9 of the worker (killed), and after a clean end and a new start (restarted). Loading the model is not in it. The files may be in the system's page cache.",
				r.Rounds),
			Verdicts: verdicts, Tables: []report.Table{times, ratios}, Plots: []report.Plot{plot},
		}},
	}
}
