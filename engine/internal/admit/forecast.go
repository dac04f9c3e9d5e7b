package admit

import (
	"math"
	"slices"
	"time"
)

// seconds is a span of time or a moment after now. The model computes in floating
// point; its numbers are estimates anyway.
type seconds = float64

func since(now, t time.Time) seconds { return max(0, t.Sub(now).Seconds()) }

// item is a request, present or promised, as the forecast sees it.
type item struct {
	join  seconds // when it arrives; 0 is now
	rows  float64 // prompt rows to be computed once it has a sequence
	steps float64 // tokens to be decoded after that
	cells int
	bound bool // it has a sequence already
}

// fate is what the forecast says of an item.
type fate struct {
	bound, finished seconds
	// ahead is how many others have arrived before it and not ended when it arrives.
	ahead int
}

// forecast plays the worker: items get sequences in their order (all that have
// arrived, first come first served, the first that does not fit holds the rest
// back), prompts are computed as soon as they have one, and all that decode share
// the steps. start is when the worker begins (0: it runs), ahead how many rows of
// bound prompts are computed already. Items are in order of join.
//
// Prompts and decoding alternate in truth, but the sum of the work is the same, and
// that is what decides when a sequence becomes free.
func forecast(items []item, cap Capacity, cost *costs, start seconds, ahead float64) []fate {
	fates := make([]fate, len(items))
	active := make([]int, 0, cap.Sequences)
	left := make([]float64, len(items)) // steps
	t, debt, cells := start, 0.0, 0
	joined, next := 0, 0 // items that have arrived; the first of them without a sequence
	finished := 0
	bind := func(i int) {
		fates[i].bound = t
		left[i] = max(items[i].steps, 1)
		cells += items[i].cells
		active = append(active, i)
	}
	for i, it := range items { // wherever they stand
		if it.bound {
			bind(i)
			debt += it.rows
		}
	}
	debt = cost.prefill(max(0, debt-ahead))
	for finished < len(items) {
		for joined < len(items) && items[joined].join <= t {
			fates[joined].ahead = joined - finished
			joined++
		}
		for next < joined {
			it := items[next]
			if !it.bound {
				if len(active) > 0 && (len(active) >= cap.Sequences || cells+it.cells > cap.Cells) {
					break
				}
				bind(next)
				debt += cost.prefill(it.rows)
			}
			next++
		}
		if len(active) == 0 {
			t = max(t, items[joined].join)
			continue
		}
		step := cost.step(len(active))
		fewest := math.Inf(1)
		for _, i := range active {
			fewest = min(fewest, left[i])
		}
		until := t + debt + fewest*step
		if joined < len(items) && items[joined].join < until {
			until = items[joined].join
		}
		span := until - t
		paid := min(span, debt)
		debt -= paid
		steps := (span - paid) / step
		t = until
		active = slices.DeleteFunc(active, func(i int) bool {
			left[i] -= steps
			if left[i] > 1e-6 || debt > 0 {
				return false
			}
			fates[i].finished = t
			cells -= items[i].cells
			finished++
			return true
		})
	}
	return fates
}
