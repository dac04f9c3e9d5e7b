package sched

import (
	"cmp"
	"slices"
	"time"
)

// Task is one active sequence as the scheduler sees it.
type Task struct {
	// Seq identifies the sequence.
	Seq int
	// Arrived is when its request came in.
	Arrived time.Time
	// Agent is who asks; empty if unknown. See Plan.
	Agent string
	// Prefill is how many tokens of its prompt are still to be evaluated. 0
	// means that the sequence is decoding.
	Prefill int
}

// Limits bounds a step.
type Limits struct {
	// MaxRows is the most rows that a step may have: the micro-batch.
	MaxRows int
	// MinChunk is the fewest prefill rows of a step beside decoding sequences:
	// what a prompt gets even if that misses the target. Chunks below 64 compute
	// inefficiently (ENGINE.md §4), so that a large one makes prompts sooner ready
	// and a small one streams smoother.
	MinChunk int
	// ITLTarget is how long a step may take while somebody is decoding: their
	// inter-token latency.
	ITLTarget time.Duration
}

// Cost is what steps have cost lately. Zero means not yet known.
type Cost struct {
	// Decode is a step's time with decode rows only.
	Decode time.Duration
	// PrefillRow is the time of one prefill row in a large step of its own, MixedRow what
	// it adds to a step in which others decode: smaller chunks, and slower kernels.
	PrefillRow, MixedRow time.Duration
}

// mixedRow is MixedRow, or twice PrefillRow until it was measured (ENGINE.md §4).
func (c Cost) mixedRow() time.Duration { return cmp.Or(c.MixedRow, 2*c.PrefillRow) }

// Step is what to compute next. An empty Step means that there is nothing to do.
type Step struct {
	// Decode holds the sequences that get one row each.
	Decode []int
	// Prefill holds the chunks of prompts, at most one for each sequence.
	Prefill []Chunk
}

// Chunk is a share of one prompt: the next Rows tokens of it.
type Chunk struct {
	Seq, Rows int
}

// Rows returns the number of rows in the step.
func (s Step) Rows() int {
	n := len(s.Decode)
	for _, c := range s.Prefill {
		n += c.Rows
	}
	return n
}

// Plan returns the next step: a row for every decoding sequence (the longest
// waiting first, should there be more than MaxRows), then chunks of prompts up
// to the budget, shortest remaining first with ageing (see priority). Prompts of
// one agent count as one after the other, so that an agent with many does not push
// aside those with one.
func Plan(tasks []Task, lim Limits, cost Cost, now time.Time) Step {
	var step Step
	var waiting []Task
	for _, t := range tasks {
		if t.Prefill > 0 {
			waiting = append(waiting, t)
		} else {
			step.Decode = append(step.Decode, t.Seq)
		}
	}
	if len(step.Decode) > lim.MaxRows {
		step.Decode = oldest(tasks, lim.MaxRows)
	}
	budget := prefillBudget(len(step.Decode), lim, cost)
	order(waiting, cost, now)
	for _, t := range waiting {
		if budget <= 0 {
			break
		}
		rows := min(t.Prefill, budget)
		step.Prefill = append(step.Prefill, Chunk{Seq: t.Seq, Rows: rows})
		budget -= rows
	}
	return step
}

// prefillBudget is how many prefill rows a step may have. Alone, prompts take
// the whole micro-batch; beside decoding sequences, what keeps the step near
// the ITL target, but at least MinChunk.
func prefillBudget(decoding int, lim Limits, cost Cost) int {
	room := lim.MaxRows - decoding
	if decoding == 0 {
		return room
	}
	rows := lim.MinChunk
	if row := cost.mixedRow(); row > 0 {
		rows = max(rows, int((lim.ITLTarget-cost.Decode)/row))
	}
	return max(0, min(room, rows))
}

// order sorts prompts, the first to be computed first.
func order(waiting []Task, cost Cost, now time.Time) {
	rank := make(map[int]time.Duration, len(waiting))
	sort := func() {
		slices.SortStableFunc(waiting, func(a, b Task) int {
			return cmp.Or(cmp.Compare(rank[a.Seq], rank[b.Seq]), a.Arrived.Compare(b.Arrived), cmp.Compare(a.Seq, b.Seq))
		})
	}
	for _, t := range waiting {
		rank[t.Seq] = priority(t, cost, now)
	}
	sort()
	ahead := map[string]time.Duration{}
	for _, t := range waiting {
		if t.Agent == "" {
			continue
		}
		rank[t.Seq] += ahead[t.Agent]
		ahead[t.Agent] += time.Duration(t.Prefill) * cost.prefillRow()
	}
	sort()
}

// defaultPrefillRow stands for an unmeasured cost; it only sets how fast a
// prompt ages until the first step was measured.
const defaultPrefillRow = 2 * time.Millisecond

// priority orders prompts, lowest first: the time that the rest of the prompt
// takes, less the time it has waited. A prompt that has waited for as long as
// it needs thus goes before every newcomer, so that nothing starves.
func priority(t Task, cost Cost, now time.Time) time.Duration {
	return time.Duration(t.Prefill)*cost.prefillRow() - now.Sub(t.Arrived)
}

func (c Cost) prefillRow() time.Duration { return cmp.Or(c.PrefillRow, defaultPrefillRow) }

// oldest returns the n decoding sequences that arrived first.
func oldest(tasks []Task, n int) []int {
	decoding := slices.DeleteFunc(slices.Clone(tasks), func(t Task) bool { return t.Prefill > 0 })
	slices.SortStableFunc(decoding, func(a, b Task) int { return a.Arrived.Compare(b.Arrived) })
	seqs := make([]int, n)
	for i := range seqs {
		seqs[i] = decoding[i].Seq
	}
	return seqs
}

// Meter measures Cost from the steps that were made.
type Meter struct {
	cost Cost
}

// Cost returns the measured cost.
func (m *Meter) Cost() Cost { return m.cost }

// Expect says what a row of a prompt cost earlier; what was measured since counts more.
func (m *Meter) Expect(prefillRow time.Duration) {
	if m.cost.PrefillRow == 0 && prefillRow > 0 {
		m.cost.PrefillRow = prefillRow
	}
}

// Observe learns from one step that took d.
func (m *Meter) Observe(s Step, d time.Duration) {
	prefill := s.Rows() - len(s.Decode)
	switch {
	case prefill == 0 && len(s.Decode) > 0:
		m.cost.Decode = blend(m.cost.Decode, d, fullRows)
	case prefill > 0:
		if len(s.Decode) == 0 {
			if prefill >= wholeRows {
				m.cost.PrefillRow = blend(m.cost.PrefillRow, d/time.Duration(prefill), prefill)
			}
		} else if d -= m.cost.Decode; d > 0 {
			m.cost.MixedRow = blend(m.cost.MixedRow, d/time.Duration(prefill), fullRows)
		}
	}
}

// What a row of a prompt costs is told by steps of at least wholeRows: fewer cost mostly
// what any step does, and would make a prompt's tokens look many times dearer than they
// are (ENGINE.md §4). From fullRows on a step counts in full.
const (
	wholeRows = 64
	fullRows  = 256
)

// blend is an exponential mean that follows a change within about ten steps of full size.
func blend(old, sample time.Duration, rows int) time.Duration {
	if old == 0 {
		return sample
	}
	return old + (sample-old)*time.Duration(min(rows, fullRows))/(4*fullRows)
}
