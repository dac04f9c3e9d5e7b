package bench

import (
	"context"
	"fmt"

	"samovar/app/bench/report"
)

// Overhead is what saving costs: the same work on two servers, one of which saves.
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

// What each request of Measure has.
const (
	overheadPrompt = 1024
	overheadAnswer = 257
)

// Measure has both servers do the same, one after the other, in turn. It can be called
// again with other processes: no two are equally fast, whatever they do.
func (o *Overhead) Measure(ctx context.Context, on, off ResumeServer, rounds int, progress func(string)) error {
	servers := []ResumeServer{on, off}
	text, err := words(ctx, off.BaseURL, "Overhead.", overheadPrompt)
	if err != nil {
		return err
	}
	for range rounds {
		round := o.Rounds
		o.Rounds++
		progress(fmt.Sprintf("overhead: round %d", o.Rounds))
		var prefill, decode [2]float64
		for i := range servers {
			which := (i + round) % len(servers)
			s := servers[which]
			// Without keeping, more stays in the pool, and costs every step.
			if err := s.Evict(ctx); err != nil {
				return err
			}
			got, err := stream(ctx, s.BaseURL, fmt.Sprintf("Round %d. %s", round, text), overheadAnswer)
			if err != nil {
				return err
			}
			if err := s.saved(ctx); err != nil {
				return err
			}
			o.PromptTokens, o.AnswerTokens = got.prompt, got.completion
			prefill[which] = 1000 * float64(got.prompt-got.cached) / got.server["prefill"]
			decode[which] = 1000 * float64(got.completion-1) / got.server["decode"]
		}
		o.Prefill.add(prefill[0], prefill[1])
		o.Decode.add(decode[0], decode[1])
	}
	o.Prefill.summarise()
	o.Decode.summarise()
	return nil
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
		Text: fmt.Sprintf("Two servers do the same in turn, %d times: a new prompt of %d tokens and an answer of %d. One saves what it computes. Nothing else is in their pools. Tokens per second, medians; the ratio is the median of the rounds' ratios.",
			o.Rounds, o.PromptTokens, o.AnswerTokens),
		Verdicts: []report.Verdict{verdict("prefill", o.Prefill), verdict("decode", o.Decode)},
		Tables:   []report.Table{{Head: []string{"", "not saving", "saving", "ratio"}, Rows: [][]string{row("prefill", o.Prefill), row("decode", o.Decode)}}},
	}
}
