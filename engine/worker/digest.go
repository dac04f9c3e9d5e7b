package worker

import (
	"math"
	"slices"

	"samovar/engine/internal/kv/blockfile"
)

// digest is the digestSize likeliest tokens with their logits, the likeliest first.
func digest(logits []float32) []blockfile.Logit { return likeliest(logits, digestSize) }

// likeliest is the n likeliest tokens with their logits, the likeliest first.
func likeliest(logits []float32, n int) []blockfile.Logit {
	top := make([]blockfile.Logit, 0, n+1)
	for i, v := range logits {
		if len(top) == n && v <= top[n-1].Value {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, v, func(l blockfile.Logit, v float32) int {
			if l.Value >= v {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, blockfile.Logit{Token: blockfile.Token(i), Value: v})
		top = top[:min(len(top), n)]
	}
	return top
}

// maxDeviation is how far logits may be from those that were saved, in standard
// deviations of the logits. One row against the step of 512 that computed it first is
// up to 0.05 away without any restoring (0.5b shape, the worst of eight tokens, at
// depths to 3,300), and 0.09 was seen after one; KV of other weights is several away.
const maxDeviation = 0.25

// deviation is the largest difference between logits and a digest of what they were, in
// standard deviations of the logits: of the digestSize likeliest tokens, however many an
// opening has, since the largest of more differences is larger.
func deviation(logits []float32, was []blockfile.Logit) float64 {
	sd := max(spread(logits), minSpread)
	most := 0.0
	for _, l := range was[:min(len(was), digestSize)] {
		if int(l.Token) >= len(logits) {
			return math.Inf(1)
		}
		d := math.Abs(float64(logits[l.Token]-l.Value)) / sd
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		most = max(most, d)
	}
	return most
}

// spread is the standard deviation of logits.
func spread(logits []float32) float64 {
	var sum, squares float64
	for _, l := range logits {
		sum += float64(l)
		squares += float64(l) * float64(l)
	}
	n := float64(len(logits))
	return math.Sqrt(max(squares/n-sum/n*sum/n, 0))
}
