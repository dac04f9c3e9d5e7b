package admit

import (
	"cmp"
	"math"
	"math/bits"
)

// costs is what the worker's work costs, in wall time while it is busy: so the time
// between steps, and what other programs take from the machine, is in it.
//
// A decode step costs more the more sequences are in it, but less for each, by an
// amount that depends on the machine (CPU: little, GPU: nearly all). So the cost of a
// token is kept apart for each power of two of sequences.
type costs struct {
	prior    Capacity
	perToken [batches]float64 // seconds; 0 is unknown
	perRow   float64          // seconds; 0 is unknown
	slower   float64          // than measured, for a careful forecast; 0 is 1
}

const (
	batches = 8 // 1, 2, 3–4, 5–8, … sequences
	// memory is how many seconds of busy time the measured costs reach back.
	memory = 3.0
	// surprise bounds how far one measurement is believed to be from the last.
	surprise = 8.0
)

// measured says whether the costs are more than a guess.
func (c *costs) measured() bool { return c.perRow > 0 || c.perToken != [batches]float64{} }

func batchOf(sequences int) int { return min(batches-1, bits.Len(uint(max(1, sequences)-1))) }

// guess is the cost of a token in a batch, from the file's size alone or from
// another batch's.
func (c *costs) guess(batch int) float64 {
	share := func(b int) float64 { // of a step for one sequence, for each token
		n := float64(int(1) << b)
		return c.prior.Fixed/n + 1 - c.prior.Fixed
	}
	for distance := 1; distance < batches; distance++ {
		for _, b := range []int{batch - distance, batch + distance} {
			if b >= 0 && b < batches && c.perToken[b] > 0 {
				return c.perToken[b] * share(batch) / share(b)
			}
		}
	}
	return max(1e-6, c.prior.DecodeStep.Seconds()) * share(batch)
}

func (c *costs) token(batch int) float64 {
	if v := c.perToken[batch]; v > 0 {
		return v
	}
	return c.guess(batch)
}

// step is what a decode step of n sequences costs.
func (c *costs) step(n int) float64 {
	return float64(n) * c.token(batchOf(n)) * cmp.Or(c.slower, 1)
}

// prefill is what rows of prompts cost.
func (c *costs) prefill(rows float64) float64 { return rows * c.row() * cmp.Or(c.slower, 1) }

func (c *costs) row() float64 {
	if c.perRow > 0 {
		return c.perRow
	}
	// A guess that was wrong for tokens was as wrong for rows.
	wrong := 1.0
	for b, v := range c.perToken {
		if v > 0 {
			guess := costs{prior: c.prior}
			wrong = v / guess.token(b)
		}
	}
	return max(1e-7, c.prior.PrefillRow.Seconds()) * wrong
}

// work is what was done in a span of time in which the worker was busy throughout.
type work struct {
	seconds, rows, tokens float64
	sequences             int // that decoded, on average
}

// observe learns from work that was done. Where it mixes rows and tokens, each cost
// takes its share of the difference to what was expected.
func (c *costs) observe(w work) {
	if w.seconds <= 0 || w.rows+w.tokens <= 0 {
		return
	}
	batch := batchOf(w.sequences)
	token, row := c.token(batch), c.row()
	expected := w.tokens*token + w.rows*row
	wrong := w.seconds / expected
	learn := func(to *float64, current, share float64) {
		if share < 0.05 {
			return // it says nothing of this one
		}
		if *to == 0 {
			if share >= 0.5 {
				*to = current * wrong
			}
			return
		}
		believe := 1 - math.Exp(-w.seconds*share/memory)
		*to = current * (1 + believe*(min(max(wrong, 1/surprise), surprise)-1))
	}
	learn(&c.perToken[batch], token, w.tokens*token/expected)
	learn(&c.perRow, row, w.rows*row/expected)
}
