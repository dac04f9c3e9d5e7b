package sched

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	epoch = time.Unix(1_000_000, 0)
	lim   = Limits{MaxRows: 512, MinChunk: 64, ITLTarget: 250 * time.Millisecond}
	cost  = Cost{Decode: 30 * time.Millisecond, PrefillRow: time.Millisecond, MixedRow: 2 * time.Millisecond}
)

func decoding(seq int) Task { return Task{Seq: seq, Arrived: epoch} }

func prefilling(seq, tokens int, waited time.Duration) Task {
	return Task{Seq: seq, Arrived: epoch.Add(-waited), Prefill: tokens}
}

func TestPlan(t *testing.T) {
	for name, tc := range map[string]struct {
		tasks []Task
		cost  Cost
		want  Step
	}{
		"nothing to do": {},
		"a prompt alone takes the micro-batch": {
			tasks: []Task{prefilling(1, 2000, 0)}, cost: cost,
			want: Step{Prefill: []Chunk{{1, 512}}},
		},
		"decoding only": {
			tasks: []Task{decoding(1), decoding(3)}, cost: cost,
			want: Step{Decode: []int{1, 3}},
		},
		"beside decoding, chunks keep to the ITL target": {
			tasks: []Task{decoding(1), prefilling(2, 2000, 0)}, cost: cost,
			want: Step{Decode: []int{1}, Prefill: []Chunk{{2, 110}}}, // (250−30)/2
		},
		"but never below the smallest useful chunk": {
			tasks: []Task{decoding(1), prefilling(2, 2000, 0)}, cost: Cost{Decode: time.Second, MixedRow: time.Second},
			want: Step{Decode: []int{1}, Prefill: []Chunk{{2, 64}}},
		},
		"beside decoding a row costs twice what it does alone, until measured": {
			tasks: []Task{decoding(1), prefilling(2, 2000, 0)}, cost: Cost{Decode: 50 * time.Millisecond, PrefillRow: time.Millisecond},
			want: Step{Decode: []int{1}, Prefill: []Chunk{{2, 100}}},
		},
		"an agent's prompts count as one after the other": {
			tasks: []Task{of("many", prefilling(1, 300, 2)), of("many", prefilling(2, 300, 1)), of("one", prefilling(3, 400, 0))}, cost: cost,
			want: Step{Prefill: []Chunk{{1, 300}, {3, 212}}},
		},
		"unknown agents are nobody's": {
			tasks: []Task{prefilling(1, 300, 2), prefilling(2, 300, 1), of("one", prefilling(3, 400, 0))}, cost: cost,
			want: Step{Prefill: []Chunk{{1, 300}, {2, 212}}},
		},
		"unknown cost is careful": {
			tasks: []Task{decoding(1), prefilling(2, 2000, 0)},
			want:  Step{Decode: []int{1}, Prefill: []Chunk{{2, 64}}},
		},
		"shortest remaining first, the rest of the budget to the next": {
			tasks: []Task{prefilling(1, 4000, 0), prefilling(2, 100, 0)}, cost: cost,
			want: Step{Prefill: []Chunk{{2, 100}, {1, 412}}},
		},
		"a long wait outweighs length": {
			tasks: []Task{prefilling(1, 4000, 9*time.Second), prefilling(2, 100, 0)}, cost: cost,
			want: Step{Prefill: []Chunk{{1, 512}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, Plan(tc.tasks, lim, tc.cost, epoch))
		})
	}
}

func of(agent string, t Task) Task {
	t.Agent = agent
	return t
}

func TestPick(t *testing.T) {
	c := func(agent string, seconds int) Candidate {
		return Candidate{Agent: agent, Arrived: epoch.Add(time.Duration(seconds) * time.Second)}
	}
	active := map[string]int{"busy": 2, "some": 1, "": 9}
	require.Equal(t, 0, Pick([]Candidate{c("busy", 0)}, active))
	require.Equal(t, 1, Pick([]Candidate{c("busy", 0), c("new", 5), c("new", 6)}, active))
	require.Equal(t, 2, Pick([]Candidate{c("busy", 0), c("some", 1), c("", 9)}, active), "unknown ones have nothing at work")
	require.Equal(t, 1, Pick([]Candidate{c("busy", 3), c("busy", 2)}, active))
}

// Turns are as Pick would pick.
func TestTurns(t *testing.T) {
	require.Empty(t, Turns(nil, nil))
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		waiting := make([]Candidate, r.IntN(20))
		for i := range waiting {
			waiting[i] = Candidate{Agent: []string{"", "a", "b", "c"}[r.IntN(4)], Arrived: epoch.Add(time.Duration(r.IntN(1000)) * time.Second)}
		}
		active := map[string]int{"a": r.IntN(3), "b": r.IntN(3)}
		var want []Candidate
		rest, load := slices.Clone(waiting), maps.Clone(active)
		for len(rest) > 0 {
			i := Pick(rest, load)
			load[rest[i].Agent]++
			want = append(want, rest[i])
			rest = slices.Delete(rest, i, i+1)
		}
		var got []Candidate
		for _, i := range Turns(waiting, active) {
			got = append(got, waiting[i])
		}
		require.Equal(t, want, got)
	}
}

// randomTasks has a distinct sequence for each task.
func randomTasks(r *rand.Rand) []Task {
	tasks := make([]Task, r.IntN(40))
	for i := range tasks {
		tasks[i] = Task{Seq: i, Arrived: epoch.Add(-time.Duration(r.IntN(60_000)) * time.Millisecond)}
		tasks[i].Agent = []string{"", "a", "b"}[r.IntN(3)]
		if r.IntN(2) == 0 {
			tasks[i].Prefill = 1 + r.IntN(9000)
		}
	}
	return tasks
}

func TestPlanKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		tasks := randomTasks(r)
		lim := Limits{MaxRows: 1 + r.IntN(600), MinChunk: 64, ITLTarget: 250 * time.Millisecond}
		cost := Cost{Decode: time.Duration(r.IntN(100)) * time.Millisecond, PrefillRow: time.Duration(r.IntN(5000)) * time.Microsecond, MixedRow: time.Duration(r.IntN(9000)) * time.Microsecond}
		step := Plan(tasks, lim, cost, epoch)

		require.LessOrEqual(t, step.Rows(), lim.MaxRows, "budget")
		seen := map[int]bool{}
		for _, seq := range step.Decode {
			require.False(t, seen[seq], "one row for each sequence")
			seen[seq] = true
			require.Zero(t, tasks[seq].Prefill, "only decoding sequences decode")
		}
		for _, c := range step.Prefill {
			require.False(t, seen[c.Seq], "one chunk for each sequence")
			seen[c.Seq] = true
			require.Positive(t, c.Rows)
			require.LessOrEqual(t, c.Rows, tasks[c.Seq].Prefill, "no more than is left")
		}
		decoders := 0
		for _, task := range tasks {
			if task.Prefill == 0 {
				decoders++
			}
		}
		require.Len(t, step.Decode, min(decoders, lim.MaxRows), "every decoding sequence has its row")
		if len(tasks) > 0 {
			require.Positive(t, step.Rows(), "never idle while there is work")
		}
		require.Equal(t, step, Plan(tasks, lim, cost, epoch), "pure")
	}
}

// A long prompt must finish in bounded time though short ones keep coming.
func TestNothingStarves(t *testing.T) {
	now := epoch
	long := Task{Seq: 0, Arrived: now, Prefill: 4096}
	need := 4096 * cost.PrefillRow
	next := 1
	for steps := 0; long.Prefill > 0; steps++ {
		require.Less(t, steps, 200, "the long prompt starves")
		// There is always enough short work to fill the step.
		tasks := []Task{long}
		for range 10 {
			tasks = append(tasks, Task{Seq: next, Arrived: now, Prefill: 100})
			next++
		}
		step := Plan(tasks, lim, cost, now)
		for _, c := range step.Prefill {
			if c.Seq == 0 {
				long.Prefill -= c.Rows
			}
		}
		now = now.Add(time.Duration(step.Rows()) * cost.PrefillRow)
	}
	require.LessOrEqual(t, now.Sub(epoch), 3*need)
}

func TestMeterLearnsBothCosts(t *testing.T) {
	var m Meter
	for range 20 {
		m.Observe(Step{Decode: []int{1, 2}}, 40*time.Millisecond)
		m.Observe(Step{Decode: []int{1, 2}, Prefill: []Chunk{{3, 100}}}, 340*time.Millisecond)
	}
	require.InDelta(t, 40*time.Millisecond, m.Cost().Decode, float64(time.Millisecond))
	require.InDelta(t, 3*time.Millisecond, m.Cost().MixedRow, float64(100*time.Microsecond))
	require.Zero(t, m.Cost().PrefillRow)
	m.Observe(Step{Prefill: []Chunk{{3, 100}}}, 200*time.Millisecond)
	require.Equal(t, 2*time.Millisecond, m.Cost().PrefillRow)
	m.Observe(Step{}, time.Second)
	require.InDelta(t, 40*time.Millisecond, m.Cost().Decode, float64(time.Millisecond))
}

// The last rows of prompts whose beginnings are reused cost a whole step each, which says
// nothing about what those beginnings would cost.
func TestShortStepsDoNotTellWhatPromptsCost(t *testing.T) {
	var m Meter
	m.Observe(Step{Prefill: []Chunk{{3, 1}}}, 25*time.Millisecond)
	require.Zero(t, m.Cost().PrefillRow, "it is not known yet")
	for range 20 {
		m.Observe(Step{Prefill: []Chunk{{3, 512}}}, 512*3*time.Millisecond)
		m.Observe(Step{Prefill: []Chunk{{3, 1}}}, 25*time.Millisecond)
		m.Observe(Step{Prefill: []Chunk{{3, 40}}}, 320*time.Millisecond)
	}
	require.Equal(t, 3*time.Millisecond, m.Cost().PrefillRow)
	m.Observe(Step{Prefill: []Chunk{{3, 64}}}, 64*7*time.Millisecond)
	require.InDelta(t, 3.25*float64(time.Millisecond), m.Cost().PrefillRow, float64(10*time.Microsecond))
}
