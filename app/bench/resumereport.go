package bench

import (
	"fmt"
	"io"
	"time"

	"samovar/app/bench/report"
)

// ResumeReport is a ResumeResult with what one needs to compare it with another.
type ResumeReport struct {
	Version string    `json:"version"`
	Made    time.Time `json:"made"`
	Machine Machine   `json:"machine"`
	Model   Model     `json:"model"`
	// What was not measured is left out.
	Endings   *ResumeResult    `json:"endings,omitempty"`
	Overhead  *Overhead        `json:"overhead,omitempty"`
	Workloads []WorkloadResult `json:"workloads,omitempty"`
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
	page := report.Report{Title: "Samovar bench resume", Made: r.Made, Facts: facts(r.Version, r.Machine, r.Model)}
	if r.Endings != nil {
		page.Sections = append(page.Sections, r.Endings.section())
	}
	if r.Overhead != nil {
		page.Sections = append(page.Sections, r.Overhead.section())
	}
	for _, w := range r.Workloads {
		page.Sections = append(page.Sections, w.section())
	}
	return page
}

func (r ResumeResult) section() report.Section {
	ms := report.Millis
	times := report.Table{Head: []string{"prompt tokens", "cold ms"}}
	ratios := report.Table{Caption: "Cold ÷ resumed", Head: []string{"prompt tokens"}}
	parts := report.Table{Caption: "Where the time goes", Head: []string{"prompt tokens", "after", "tokens reused, at least", "queue ms", "restore ms", "prefill ms", "first token ms", "p95 ms", "second token ms"}}
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
			parts.Rows = append(parts.Rows, []string{fmt.Sprint(l.PromptTokens), string(e.Ending), fmt.Sprint(e.LeastCached), ms(e.Queue), ms(e.Restore), ms(e.Prefill), ms(e.TTFT.P50), ms(e.TTFT.P95), ms(e.Second)})
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
	return report.Section{
		Title: "Coming back",
		Text: fmt.Sprintf("Each prompt was computed once. Medians of %d rounds of the time to the first token: with its KV in the pool (hot), after it had to leave (evicted), after kill -9 of the worker (killed, at most %d rounds), after the model was unloaded and loaded again (unloaded), after a clean end and a new start (restarted), and after an eviction with the files no longer in the system's page cache (dropped, where the system allows that). Nothing else is in the pool, and loading the model is not in it. The first token of a prompt that was asked before comes from the logits that are kept with it; the second needs the KV, which is proven by then.",
			r.Rounds, mostKills),
		Verdicts: verdicts, Tables: []report.Table{times, ratios, parts}, Plots: []report.Plot{plot},
	}
}
