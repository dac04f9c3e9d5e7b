package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"samovar/app/bench/report"
)

// Result is what Decode measured.
type Result struct {
	// RatioToRaw is that of the single stream.
	RatioToRaw   float64       `json:"ratio_to_raw"`
	Tokens       int           `json:"tokens"`
	Rounds       int           `json:"rounds"`
	PromptTokens int           `json:"prompt_tokens"`
	Measurements []Measurement `json:"measurements"`
	Warnings     []string      `json:"warnings,omitempty"`
}

// Measurement is one number of streams through HTTP against as many rows of
// the raw loop.
type Measurement struct {
	Streams int `json:"streams"`
	// RatioToRaw is the median of Ratios, HTTP ÷ raw of each round.
	RatioToRaw float64   `json:"ratio_to_raw"`
	Ratios     []float64 `json:"ratios"`
	HTTP       Rates     `json:"http_tokens_per_second"`
	Raw        Rates     `json:"raw_tokens_per_second"`
	// TTFTMillis is the median over all streams, prefill of all included.
	TTFTMillis float64 `json:"ttft_ms"`
	// ShortestAnswer is the fewest tokens that a stream had.
	ShortestAnswer int `json:"shortest_answer_tokens"`
}

// Rates sums up the rounds.
type Rates struct {
	Median float64   `json:"median"`
	Best   float64   `json:"best"`
	All    []float64 `json:"all"`
}

func (r *Rates) summarise() {
	r.Median, r.Best = median(r.All), slices.Max(r.All)
}

// Machine is where it was measured.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
}

// Model is what was measured with.
type Model struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Parameters   uint64 `json:"parameters,omitempty"`
	FileBytes    uint64 `json:"file_bytes,omitempty"`
	ContextCells int    `json:"context_cells"`
	KVType       string `json:"kv"`
	// Threads is as asked for; 0 leaves it to the engine.
	Threads     int     `json:"threads"`
	LoadSeconds float64 `json:"load_seconds"`
}

// Report is a Result with what one needs to compare it with another.
type Report struct {
	Version string  `json:"version"`
	Machine Machine `json:"machine"`
	Model   Model   `json:"model"`
	Result
}

// WriteJSON prints the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	return writeJSON(w, r)
}

// WriteTable prints the report for people.
func (r Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores (%s/%s), Samovar %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.OS, r.Machine.Arch, r.Version)
	fmt.Fprintf(w, "%s, loaded in %.2f s; %d tokens after a prompt of %d, %d rounds\n\n",
		r.Model.ID, r.Model.LoadSeconds, r.Tokens, r.PromptTokens, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "streams\tHTTP tok/s\t(best)\traw tok/s\t(best)\tHTTP ÷ raw\tTTFT ms\t")
	for _, m := range r.Measurements {
		fmt.Fprintf(t, "%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\t%.0f\t\n",
			m.Streams, m.HTTP.Median, m.HTTP.Best, m.Raw.Median, m.Raw.Best, m.RatioToRaw, m.TTFTMillis)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(w, "\nWarning:", warning)
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// facts are what one must know to compare a report with another.
func facts(version string, on Machine, of Model) []report.Fact {
	return []report.Fact{
		{Name: "Samovar", Value: version},
		{Name: "Machine", Value: fmt.Sprintf("%s, %d cores (%s/%s)", on.CPU, on.Cores, on.OS, on.Arch)},
		{Name: "Model", Value: fmt.Sprintf("%s, %s KV, pool of %d cells", of.ID, of.KVType, of.ContextCells)},
	}
}
