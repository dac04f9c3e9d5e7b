package bench

import (
	"context"
	"errors"
	"fmt"

	"samovar/app/bench/report"
)

// Overhead is what saving costs: the same work with it and without.
type Overhead struct {
	Rounds int `json:"rounds"`
	// PromptTokens and AnswerTokens are of each request.
	PromptTokens int   `json:"prompt_tokens"`
	AnswerTokens int   `json:"answer_tokens"`
	Prefill      OnOff `json:"prefill"`
	Decode       OnOff `json:"decode"`
}

// OnOff is a throughput in tokens per second, with saving and without.
type OnOff struct {
	On  Rates `json:"on"`
	Off Rates `json:"off"`
	// Ratio is the median of Ratios, on ÷ off of each round.
	Ratio  float64   `json:"on_to_off"`
	Ratios []float64 `json:"ratios"`
}

func (o *OnOff) add(on, off float64) {
	o.On.All, o.Off.All, o.Ratios = append(o.On.All, on), append(o.Off.All, off), append(o.Ratios, on/off)
}

func (o *OnOff) summarise() {
	o.On.summarise()
	o.Off.summarise()
	o.Ratio = median(o.Ratios)
}

// What each request of MeasureOverhead has.
const (
	overheadPrompt = 1024
	overheadAnswer = 257
)

// MeasureOverhead has one server do the same with saving and without, in turn: no two
// processes are equally fast. saving switches it.
func MeasureOverhead(ctx context.Context, s ResumeServer, saving func(ctx context.Context, on bool) error, rounds int, progress func(string)) (Overhead, error) {
	var o Overhead
	text, err := words(ctx, s.BaseURL, "Overhead.", overheadPrompt)
	if err != nil {
		return o, err
	}
	for round := range rounds {
		progress(fmt.Sprintf("overhead: round %d of %d", round+1, rounds))
		var prefill, decode [2]float64
		for i := range 2 {
			which := (i + round) % 2
			// What is in the pool besides costs every step.
			if err := errors.Join(s.Evict(ctx), saving(ctx, which == 0)); err != nil {
				return o, err
			}
			got, err := stream(ctx, s.BaseURL, fmt.Sprintf("Round %d.%d. %s", round, which, text), overheadAnswer)
			if err != nil {
				return o, err
			}
			if err := s.saved(ctx); err != nil {
				return o, err
			}
			o.PromptTokens, o.AnswerTokens = got.prompt, got.completion
			prefill[which] = 1000 * float64(got.prompt-got.cached) / got.server["prefill"]
			decode[which] = 1000 * float64(got.completion-1) / got.server["decode"]
		}
		o.Rounds++
		o.Prefill.add(prefill[0], prefill[1])
		o.Decode.add(decode[0], decode[1])
	}
	o.Prefill.summarise()
	o.Decode.summarise()
	return o, saving(ctx, true)
}

// leastOnToOff is what throughput may fall to when KV is saved.
const leastOnToOff = 0.98

func (o Overhead) section() report.Section {
	row := func(name string, x OnOff) []string {
		return []string{name, fmt.Sprintf("%.1f", x.Off.Median), fmt.Sprintf("%.1f", x.On.Median), fmt.Sprintf("%.3f", x.Ratio)}
	}
	verdict := func(name string, x OnOff) report.Verdict {
		return report.Verdict{Name: name + ", saving ÷ not saving", Pass: x.Ratio >= leastOnToOff, Got: fmt.Sprintf("%.3f", x.Ratio), Want: fmt.Sprintf("≥ %.2f", leastOnToOff)}
	}
	return report.Section{
		Title: "What saving costs",
		Text: fmt.Sprintf("%d times, with saving and without in turn: a new prompt of %d tokens and an answer of %d, with nothing else in the pool. Tokens per second, medians; the ratio is the median of the rounds' ratios.",
			o.Rounds, o.PromptTokens, o.AnswerTokens),
		Verdicts: []report.Verdict{verdict("prefill", o.Prefill), verdict("decode", o.Decode)},
		Tables:   []report.Table{{Head: []string{"", "not saving", "saving", "ratio"}, Rows: [][]string{row("prefill", o.Prefill), row("decode", o.Decode)}}},
	}
}
