package admit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"
)

// plain is a worker whose steps cost 10 ms for each sequence and rows 1 ms.
func plain(sequences, cells int) (Capacity, *costs) {
	c := Capacity{Sequences: sequences, Cells: cells, DecodeStep: 10 * time.Millisecond, PrefillRow: time.Millisecond}
	return c, &costs{prior: c}
}

func TestForecast(t *testing.T) {
	for name, tc := range map[string]struct {
		items           []item
		start, ahead    float64
		bound, finished []float64
	}{
		"alone": {
			items: []item{{rows: 100, steps: 10, cells: 1}},
			bound: []float64{0}, finished: []float64{0.2},
		},
		"two share the steps": {
			items: []item{{steps: 10, cells: 1}, {steps: 20, cells: 1}},
			bound: []float64{0, 0}, finished: []float64{0.2, 0.3},
		},
		"the third waits for a sequence": {
			items: []item{{steps: 10, cells: 1}, {steps: 20, cells: 1}, {steps: 10, cells: 1}},
			bound: []float64{0, 0, 0.2}, finished: []float64{0.2, 0.4, 0.4},
		},
		"cells hold back, too, and keep the order": {
			items: []item{{steps: 10, cells: 60}, {steps: 10, cells: 60}, {steps: 10, cells: 10}},
			bound: []float64{0, 0.1, 0.1}, finished: []float64{0.1, 0.3, 0.3},
		},
		"who comes later": {
			items: []item{{steps: 10, cells: 1}, {join: 5, steps: 10, cells: 1}},
			bound: []float64{0, 5}, finished: []float64{0.1, 5.1},
		},
		"a worker that is not back yet": {
			items: []item{{steps: 10, cells: 1}}, start: 3,
			bound: []float64{3}, finished: []float64{3.1},
		},
		"what is computed already": {
			items: []item{{rows: 1000, steps: 10, cells: 1, bound: true}}, ahead: 900,
			bound: []float64{0}, finished: []float64{0.2},
		},
		"one that needs more cells than there are": {
			items: []item{{steps: 10, cells: 500}},
			bound: []float64{0}, finished: []float64{0.1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, cost := plain(2, 100)
			fates := forecast(tc.items, c, cost, tc.start, tc.ahead)
			for i := range fates {
				require.InDelta(t, tc.bound[i], fates[i].bound, 1e-6, "bound %d", i)
				require.InDelta(t, tc.finished[i], fates[i].finished, 1e-6, "finished %d", i)
			}
		})
	}
}

// Any load, from a seed.
func anyItems(seed uint64) []item {
	r := rand.New(rand.NewPCG(seed, 3))
	items := make([]item, 1+r.IntN(60))
	for i := range items {
		items[i] = item{rows: float64(r.IntN(500)), steps: float64(r.IntN(300)), cells: 1 + r.IntN(400)}
		if r.IntN(3) == 0 {
			items[i].join = float64(r.IntN(200)) / 10
		}
	}
	slices.SortStableFunc(items, func(a, b item) int {
		switch {
		case a.join < b.join:
			return -1
		case a.join > b.join:
			return 1
		}
		return 0
	})
	return items
}

func TestForecastKeepsItsPromises(t *testing.T) {
	c, cost := plain(4, 1000)
	check := func(seed uint64) bool {
		items := anyItems(seed)
		fates := forecast(items, c, cost, 0, 0)
		work, end := 0.0, 0.0
		for i, f := range fates {
			require.GreaterOrEqual(t, f.bound, items[i].join, "nobody begins before it comes")
			require.GreaterOrEqual(t, f.finished, f.bound)
			if i > 0 {
				require.GreaterOrEqual(t, f.bound, fates[i-1].bound, "in order")
			}
			work += items[i].rows*0.001 + max(items[i].steps, 1)*0.010
			end = max(end, f.finished)
			busy, cells := 0, 0
			for j, g := range fates[:i+1] {
				if g.bound <= f.bound && g.finished > f.bound+1e-6 {
					busy++
					cells += items[j].cells
				}
			}
			require.LessOrEqual(t, busy, c.Sequences)
			require.LessOrEqual(t, cells, c.Cells)
		}
		require.LessOrEqual(t, end, work+items[len(items)-1].join+1e-3, "no work is done twice")
		require.GreaterOrEqual(t, end, work-1e-3, "and none left out")
		return true
	}
	require.NoError(t, quick.Check(check, &quick.Config{MaxCount: 300}))
}

func TestCostsAreLearnt(t *testing.T) {
	c := &costs{prior: Capacity{DecodeStep: 10 * time.Millisecond, PrefillRow: time.Millisecond, Fixed: 0.5}}
	require.False(t, c.measured())
	require.InDelta(t, 0.010, c.step(1), 1e-9)
	require.InDelta(t, 0.085, c.step(16), 1e-9, "half of it is shared")

	c.observe(work{seconds: 1, tokens: 50, sequences: 1}) // twice as slow as guessed
	require.True(t, c.measured())
	require.InDelta(t, 0.020, c.step(1), 1e-9, "the first measurement replaces the guess")
	require.InDelta(t, 0.170, c.step(16), 1e-9, "for larger batches, too, as long as nothing else is known")
	require.InDelta(t, 0.002, c.row(), 1e-9, "and for prompts")

	for range 40 { // 16 at once cost 0.1 s a step; and rows 5 ms
		c.observe(work{seconds: 1, tokens: 160, sequences: 16})
		c.observe(work{seconds: 1, rows: 200})
		c.observe(work{seconds: 1, tokens: 80, rows: 100, sequences: 16})
	}
	require.InDelta(t, 0.100, c.step(16), 0.005)
	require.InDelta(t, 0.005, c.row(), 0.0003)
	require.InDelta(t, 0.020, c.step(1), 1e-9, "what was not measured stays")
	before := *c
	c.observe(work{})
	c.observe(work{seconds: 1})
	require.Equal(t, before, *c)
}

func TestLengthsAreLearnt(t *testing.T) {
	l := newLengths()
	require.Equal(t, 100.0, l.answer(100))
	require.Equal(t, float64(usualAnswer), l.answer(0))
	for range 60 {
		l.answered(1000, 50)
		l.counted(1000, 1000)
		l.reused(100, 75)
	}
	require.InDelta(t, 50, l.answer(1000), 2)
	require.InDelta(t, 50, l.left(1000, 0), 2)
	require.InDelta(t, 12.5, l.left(1000, 200), 1, "longer than expected")
	require.Equal(t, 1.0, l.left(1000, 999))
	require.Equal(t, 100.0, l.answer(100), "other limits are other kinds of requests")
	require.InDelta(t, 1000, l.prompt(1000), 20)
	require.InDelta(t, 0.25, l.computed, 0.01)
}
