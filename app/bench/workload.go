package bench

import (
	"context"
	"fmt"

	"samovar/app/bench/report"
)

// Workload is what several agents ask, one request at a time, with a pool that is too
// small for all of them.
type Workload struct {
	Name string
	What string
	// Cells is the size of the pool, in tokens.
	Cells  int
	Agents int
	Rounds int
	// begin is how many tokens an agent's first message has, more those that follow.
	begin, more int
	// answer is how many tokens each answer has. told replaces it in what is asked next,
	// if it is not "".
	answer int
	told   string
	// fresh says that every round begins anew behind the first message.
	fresh bool
}

// Workloads are those that Samovar was made for.
var Workloads = []Workload{
	{
		Name: "turns", What: "Ten agents with 2,000 tokens each take turns, and add a word each time.",
		Cells: 8192, Agents: 10, Rounds: 5, begin: 2000, answer: 2, told: "Ok",
	},
	{
		Name: "conversation", What: "Three agents have a conversation of 25 turns each.",
		Cells: 4096, Agents: 3, Rounds: 25, begin: 300, more: 48, answer: 16,
	},
	{
		Name: "experts", What: "A router of 800 tokens is asked, and then each of ten experts with 1,200 tokens of its own; every round has a new question.",
		Cells: 8192, Agents: 11, Rounds: 3, begin: 1200, more: 24, answer: 8, fresh: true,
	},
}

// routerShare is the part of an expert's length that a router has.
const routerShare = 2. / 3

// WorkloadResult is a workload, with keeping and without.
type WorkloadResult struct {
	Name    string          `json:"name"`
	What    string          `json:"what"`
	Cells   int             `json:"pool_cells"`
	Kept    []WorkloadRound `json:"kept"`
	NotKept []WorkloadRound `json:"not_kept"`
	// PrefillRatio is the time that prefilling and restoring took from the second
	// round on, with keeping ÷ without.
	PrefillRatio float64 `json:"prefill_kept_to_not_kept"`
	// Twice counts prompt tokens, with keeping, that were computed though they had been
	// before; −1 if that is not known of this workload.
	Twice int `json:"computed_twice"`
	// Reused is the part of the prompts from the second round on that was not computed,
	// with keeping.
	Reused float64 `json:"reused"`
	// Checkpoints says that the model's state is not made of tokens only, so that it
	// comes back as it was at some of them.
	Checkpoints bool `json:"checkpoints"`
}

// WorkloadRound is one request of each agent.
type WorkloadRound struct {
	PromptTokens   int `json:"prompt_tokens"`
	ComputedTokens int `json:"computed_tokens"`
	// New are the prompt tokens that were not in the agent's prompt before.
	New int `json:"new_tokens"`
	// Prefill is the time for prefilling and restoring of all requests, in milliseconds.
	Prefill float64   `json:"prefill_ms"`
	TTFT    Quantiles `json:"ttft"`
	twice   int
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// play has the agents ask their requests of one server.
func (w Workload) play(ctx context.Context, s ResumeServer, progress func(string)) ([]WorkloadRound, error) {
	begin, err := words(ctx, s.BaseURL, "begin", w.begin)
	if err != nil {
		return nil, err
	}
	more := begin[:len(begin)*w.more/w.begin]
	talks := make([][]message, w.Agents)
	before := make([]int, w.Agents) // prompt tokens of an agent's last request
	for i := range talks {
		first := fmt.Sprintf("You are agent %d of %s. %s", i, w.Name, begin)
		if w.fresh && i == 0 {
			first = first[:int(routerShare*float64(len(first)))]
		}
		talks[i] = []message{{"system", first}}
	}
	var rounds []WorkloadRound
	for n := range w.Rounds {
		var r WorkloadRound
		var ttft []float64
		for i := range talks {
			progress(fmt.Sprintf("%s: round %d of %d, agent %d of %d", w.Name, n+1, w.Rounds, i+1, w.Agents))
			talks[i] = append(talks[i], message{"user", w.question(n, more)})
			got, err := streamMessages(ctx, s.BaseURL, talks[i], w.answer)
			if err != nil {
				return nil, err
			}
			computed, fresh := got.prompt-got.cached, max(0, got.prompt-before[i])
			r.PromptTokens, r.ComputedTokens, r.New = r.PromptTokens+got.prompt, r.ComputedTokens+computed, r.New+fresh
			r.twice += max(0, computed-fresh)
			r.Prefill += got.server["prefill"] + got.server["restore"]
			ttft = append(ttft, got.firstToken())
			if before[i] = got.prompt; w.fresh {
				talks[i] = talks[i][:1]
				continue
			}
			answer := w.told
			if answer == "" {
				answer = got.text
			}
			talks[i] = append(talks[i], message{"assistant", answer})
		}
		r.TTFT = quantiles(ttft)
		rounds = append(rounds, r)
	}
	return rounds, s.saved(ctx)
}

func (w Workload) question(round int, more string) string {
	if w.more == 0 {
		return fmt.Sprintf("%d?", round)
	}
	return fmt.Sprintf("Question %d. %s", round, more)
}

// PlayWorkload plays a workload twice; serve serves with a pool of so many cells, and
// keeps, or does not.
func PlayWorkload(ctx context.Context, w Workload, serve func(ctx context.Context, cells int, keep bool, use func(ResumeServer) error) error, progress func(string)) (WorkloadResult, error) {
	r := WorkloadResult{Name: w.Name, What: w.What, Cells: w.Cells, Twice: -1}
	for _, keep := range []bool{true, false} {
		err := serve(ctx, w.Cells, keep, func(s ResumeServer) error {
			rounds, err := w.play(ctx, s, func(what string) {
				if !keep {
					what += ", nothing kept"
				}
				progress(what)
			})
			if keep {
				r.Kept, r.Checkpoints = rounds, s.Status().Kept.Checkpoints > 0
			} else {
				r.NotKept = rounds
			}
			return err
		})
		if err != nil {
			return r, err
		}
	}
	kept, not, prompt, computed := 0.0, 0.0, 0, 0
	for i := 1; i < w.Rounds; i++ {
		prompt, computed = prompt+r.Kept[i].PromptTokens, computed+r.Kept[i].ComputedTokens
		kept, not = kept+r.Kept[i].Prefill, not+r.NotKept[i].Prefill
	}
	r.PrefillRatio, r.Reused = kept/not, 1-float64(computed)/float64(prompt)
	if w.told != "" { // else it is not known how many tokens of an answer come back
		r.Twice = 0
		for _, round := range r.Kept {
			r.Twice += round.twice
		}
	}
	return r, nil
}

// mostKeptPrefill bounds the prefill time of the rounds after the first of the agents
// that take turns, against the same without keeping.
const mostKeptPrefill = 0.05

// leastReused is the part of their prompts that the same agents must have reused where
// there are only checkpoints to go on from.
const leastReused = 0.95

func (r WorkloadResult) section() report.Section {
	t := report.Table{Head: []string{"round", "prompt tokens", "computed", "computed, nothing kept", "prefill s", "prefill s, nothing kept"}}
	kept, not := report.Series{Name: "kept"}, report.Series{Name: "nothing kept"}
	var labels []string
	for i, k := range r.Kept {
		n := r.NotKept[i]
		t.Rows = append(t.Rows, []string{fmt.Sprint(i + 1), fmt.Sprint(k.PromptTokens), fmt.Sprint(k.ComputedTokens), fmt.Sprint(n.ComputedTokens),
			fmt.Sprintf("%.2f", k.Prefill/1000), fmt.Sprintf("%.2f", n.Prefill/1000)})
		labels = append(labels, fmt.Sprint(i+1))
		kept.Values, not.Values = append(kept.Values, k.Prefill/1000), append(not.Values, n.Prefill/1000)
	}
	s := report.Section{
		Title:    "Workload: " + r.Name,
		Text:     fmt.Sprintf("%s The pool has %d cells. Prefill is the time for prefilling and restoring, of all agents together.", r.What, r.Cells),
		Verdicts: r.verdicts(),
		Tables:   []report.Table{t},
		Plots:    []report.Plot{{Title: "Prefill by round", Kind: report.Bars, X: "round", Y: "s", Labels: labels, Series: []report.Series{kept, not}}},
	}
	return s
}

// verdicts hold the agents that take turns to their limits. Of the other workloads,
// whose prompts have much that is new, nothing is promised but that they gain.
func (r WorkloadResult) verdicts() []report.Verdict {
	turns := r.Twice >= 0
	most := 1.
	if turns && !r.Checkpoints {
		most = mostKeptPrefill
	}
	all := []report.Verdict{{Name: r.Name + ": prefill after the first round, kept ÷ nothing kept",
		Pass: r.PrefillRatio <= most, Got: fmt.Sprintf("%.3f", r.PrefillRatio), Want: fmt.Sprintf("≤ %.2f", most)}}
	switch {
	case turns && r.Checkpoints:
		all = append(all, report.Verdict{Name: r.Name + ": part of the prompts that was reused after the first round",
			Pass: r.Reused >= leastReused, Got: fmt.Sprintf("%.3f", r.Reused), Want: fmt.Sprintf("≥ %.2f", leastReused)})
	case turns:
		all = append(all, report.Verdict{Name: r.Name + ": prompt tokens computed twice", Pass: r.Twice == 0, Got: fmt.Sprint(r.Twice), Want: "0"})
	}
	return all
}
