package stress

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"samovar/app/bench"
	"samovar/app/bench/report"
)

// Report is what several scenarios found, with what one needs to compare it.
type Report struct {
	Version string        `json:"version"`
	Machine bench.Machine `json:"machine"`
	// Server is the endpoint's address and what it says of itself.
	Server string `json:"server"`
	API    API    `json:"api"`
	Quick  bool   `json:"quick,omitempty"`
	// Slack is what limits of times were multiplied with.
	Slack   float64   `json:"slack"`
	Seed    uint64    `json:"seed"`
	Began   time.Time `json:"began"`
	Passed  bool      `json:"passed"`
	Results []Result  `json:"results"`
}

// WriteJSON prints the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Add takes the result of a scenario.
func (r *Report) Add(res Result) {
	r.Results = append(r.Results, res)
	r.Passed = !slices.ContainsFunc(r.Results, func(res Result) bool { return !res.Passed() })
}

// Failed says how many limits did not hold.
func (r Report) Failed() (failed, all int) {
	for _, res := range r.Results {
		all += len(res.Verdicts)
		for _, v := range res.Verdicts {
			if !v.Pass {
				failed++
			}
		}
	}
	return failed, all
}

// Page makes a report for people.
func (r Report) Page() report.Report {
	size := "full"
	if r.Quick {
		size = "quick: too few requests for numbers to be quoted"
	}
	p := report.Report{
		Title: "Samovar under stress", Made: r.Began,
		Facts: []report.Fact{
			{Name: "machine", Value: fmt.Sprintf("%s, %d cores (%s/%s)", r.Machine.CPU, r.Machine.Cores, r.Machine.OS, r.Machine.Arch)},
			{Name: "server", Value: r.Server},
			{Name: "surface", Value: string(r.API)},
			{Name: "size", Value: size},
			{Name: "seed", Value: fmt.Sprint(r.Seed)},
			{Name: "measured by", Value: "Samovar " + r.Version},
		},
	}
	if r.Slack > 1 {
		p.Facts = append(p.Facts, report.Fact{Name: "slack", Value: fmt.Sprintf("limits of times ×%g", r.Slack)})
	}
	for _, res := range r.Results {
		p.Sections = append(p.Sections, res.section())
	}
	return p
}

func (r Result) section() report.Section {
	text := r.What + "."
	if len(r.NotMeasured) > 0 {
		text += " Not measured: " + strings.Join(r.NotMeasured, ", ") + "."
	}
	for _, n := range r.Notes {
		text += " " + n + "."
	}
	s := report.Section{
		Title: r.Scenario, Text: text, Verdicts: r.Verdicts,
		Tables: []report.Table{r.statusTable(), r.latencyTable()},
		Plots:  r.plots(),
	}
	if reasons := r.reasonTable(); len(reasons.Rows) > 0 {
		s.Tables = append(s.Tables, reasons)
	}
	return s
}

// mostGroups is how many groups get a row of their own.
const mostGroups = 20

// rows are the groups, and all together.
func (r Result) rows() []Summary {
	if len(r.Groups) > mostGroups {
		return []Summary{r.All}
	}
	return append(slices.Clone(r.Groups), r.All)
}

// seen are the outcomes that occurred.
func (r Result) seen() (seen []Outcome) {
	for _, o := range outcomes {
		if r.All.Outcomes[o] > 0 {
			seen = append(seen, o)
		}
	}
	return seen
}

func (r Result) statusTable() report.Table {
	t := report.Table{Caption: "requests, attempts by status, throughput", Head: []string{"group", "requests"}}
	seen, statuses := r.seen(), slices.Sorted(maps.Keys(r.All.Statuses))
	for _, o := range seen {
		t.Head = append(t.Head, string(o))
	}
	for _, s := range statuses {
		t.Head = append(t.Head, statusName(s))
	}
	t.Head = append(t.Head, "seconds", "answers/s", "tokens/s")
	for _, g := range r.rows() {
		row := []string{g.Name, fmt.Sprint(g.Requests)}
		for _, o := range seen {
			row = append(row, fmt.Sprint(g.Outcomes[o]))
		}
		for _, s := range statuses {
			row = append(row, fmt.Sprint(g.Statuses[s]))
		}
		t.Rows = append(t.Rows, append(row, fmt.Sprintf("%.1f", g.Seconds), fmt.Sprintf("%.1f", g.AnswersPerSec), fmt.Sprintf("%.0f", g.TokensPerSecond)))
	}
	return t
}

func statusName(status int) string {
	if status == 0 {
		return "no status"
	}
	return fmt.Sprint("HTTP ", status)
}

func (r Result) latencyTable() report.Table {
	t := report.Table{Caption: "latency in ms: first token (TTFT), between tokens (ITL), whole answer (E2E)", Head: []string{"group"}}
	for _, what := range []string{"TTFT", "ITL", "E2E"} {
		t.Head = append(t.Head, what+" p50", "p95", "p99", "max")
	}
	row := func(name string, of ...Quantiles) {
		cells := []string{name}
		for _, q := range of {
			for _, ms := range []float64{q.P50, q.P95, q.P99, q.Max} {
				if q.Count == 0 {
					ms = report.Gap
				}
				cells = append(cells, report.Millis(ms))
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	for _, g := range r.rows() {
		row(g.Name, g.TTFT, g.ITL, g.E2E)
	}
	if r.Live.Count > 0 {
		row("/health/live", Quantiles{}, Quantiles{}, r.Live)
	}
	return t
}

func (r Result) reasonTable() report.Table {
	t := report.Table{Caption: "the first of each that was not answered", Head: []string{"outcome", "reason"}}
	for _, o := range outcomes {
		if why := r.All.Reasons[o]; why != "" && o != Gone {
			t.Rows = append(t.Rows, []string{string(o), why})
		}
	}
	return t
}

func (r Result) plots() []report.Plot {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	whole, first := report.Track{Name: "whole answer"}, report.Track{Name: "first token"}
	for _, s := range r.samples {
		if s.Outcome() != OK {
			continue
		}
		at := s.Start.Seconds()
		whole.Points = append(whole.Points, report.Point{X: at, Y: ms(s.E2E)})
		if s.TTFT > 0 {
			first.Points = append(first.Points, report.Point{X: at, Y: ms(s.TTFT)})
		}
	}
	live := report.Track{Name: "/health/live"}
	for _, p := range r.live {
		live.Points = append(live.Points, report.Point{X: p.at.Seconds(), Y: ms(p.took)})
	}
	server, worker := report.Track{Name: "server"}, report.Track{Name: "worker"}
	for _, m := range r.Memory {
		server.Points = append(server.Points, report.Point{X: m.Seconds, Y: m.Server})
		worker.Points = append(worker.Points, report.Point{X: m.Seconds, Y: m.Worker})
	}
	plots := []report.Plot{
		report.Over("Latency over time", "seconds, when asked; the slowest of each moment", "ms", slices.Max, whole, first),
		report.Over("/health/live over time", "seconds; the slowest of each moment", "ms", slices.Max, live),
		report.Over("Memory over time", "seconds", "MiB", slices.Max, server, worker),
	}
	if 1 < len(r.Groups) && len(r.Groups) <= mostGroups {
		plots = append([]report.Plot{r.outcomePlot(), r.quantilePlot()}, plots...)
	}
	return plots
}

func (r Result) outcomePlot() report.Plot {
	p := report.Plot{Title: "What became of the requests", Kind: report.Stacked, X: "group", Y: "requests"}
	for _, g := range r.Groups {
		p.Labels = append(p.Labels, g.Name)
	}
	for _, o := range r.seen() {
		s := report.Series{Name: string(o)}
		for _, g := range r.Groups {
			s.Values = append(s.Values, float64(g.Outcomes[o]))
		}
		p.Series = append(p.Series, s)
	}
	return p
}

func (r Result) quantilePlot() report.Plot {
	p := report.Plot{Title: "Time for a whole answer", Kind: report.Bars, X: "group", Y: "ms"}
	series := []report.Series{{Name: "p50"}, {Name: "p95"}, {Name: "p99"}}
	for _, g := range r.Groups {
		p.Labels = append(p.Labels, g.Name)
		for i, v := range []float64{g.E2E.P50, g.E2E.P95, g.E2E.P99} {
			series[i].Values = append(series[i].Values, v)
		}
	}
	p.Series = series
	return p
}
