package fit

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"samovar/engine/models"
)

// The geometry of a context. The micro-batch is where prefill is fastest on a CPU
// (ENGINE.md §3).
const (
	MicroBatch = 512
	// Sequences compute at a time; HotSequences may idle in the pool, besides.
	Sequences    = 16
	HotSequences = 32
	// poolCells is the KV pool's least size, so that small models have room for
	// several conversations.
	poolCells = 16384
	// minContext is the smallest context that is worth starting with.
	minContext = 2048
)

// Wish is what the user asks for; what is 0 is chosen here.
type Wish struct {
	// ContextTokens is the most that prompt and answer may have.
	ContextTokens int
	// KVType is the type of the KV cache's elements; KVBytes bounds the KV pool's memory.
	KVType  string
	KVBytes int64
}

// Context is what a model gets: its requests have at most PerSequence tokens each, and
// share Cells. Bytes is what it takes, with the model's weights.
type Context struct {
	PerSequence, Cells int
	Bytes              int64
}

// unknownContext serves models that do not say what they were made for.
const unknownContext = 4096

// cellsStep is what a pool's size is a multiple of, where a budget decides it.
const cellsStep = 256

// Choose decides how many tokens a request may have and how large the pool is, so that
// the model fits the available memory, in bytes. Without a wish of the user's it halves the model's own context until it fits,
// down to minContext; what was wished for is refused with numbers instead.
func Choose(f models.Facts, w Wish, available int64) (Context, error) {
	perSequence, cells, err := choose(f, w, available)
	if err != nil {
		return Context{}, err
	}
	estimate, err := f.EstimateBytes(cells, MicroBatch, false, w.KVType)
	return Context{PerSequence: perSequence, Cells: cells, Bytes: estimate.Total()}, err
}

func choose(f models.Facts, w Wish, available int64) (perSequence, cells int, err error) {
	perSequence = w.ContextTokens
	if perSequence <= 0 {
		perSequence = f.ContextTokens
		if perSequence <= 0 {
			perSequence = unknownContext
		}
	} else if f.ContextTokens > 0 && perSequence > f.ContextTokens {
		return 0, 0, fmt.Errorf("a context of %d tokens was asked for, but the model was made for %d; take a smaller --ctx, or 0 for the model's own",
			perSequence, f.ContextTokens)
	}
	perToken, err := f.KVBytesPerToken(w.KVType)
	if err != nil {
		return 0, 0, err
	}
	if w.KVBytes > 0 && perToken > 0 { // recurrent models have no cells to speak of
		return fitBudget(f, w, perSequence, perToken, available)
	}
	for {
		// A larger pool than one conversation needs is a wish, not a must.
		for _, cells := range []int{max(perSequence, poolCells), perSequence} {
			err := checkMemory(f, cells, w.KVType, available)
			if err == nil {
				return perSequence, cells, nil
			}
			var tooMuch *models.MemoryError
			if !errors.As(err, &tooMuch) || (cells == perSequence && (w.ContextTokens > 0 || perSequence/2 < minContext)) {
				return 0, 0, err
			}
		}
		perSequence /= 2
	}
}

// fitBudget makes the pool as large as the user's budget for it allows, but no
// larger than all sequences together can fill. A context that nobody asked for
// shrinks to it, down to minContext.
func fitBudget(f models.Facts, w Wish, perSequence int, perToken, available int64) (int, int, error) {
	room := min(w.KVBytes/perToken, int64(Sequences+HotSequences)*int64(perSequence))
	cells := int(room) / cellsStep * cellsStep
	least := perSequence
	if w.ContextTokens <= 0 {
		least = min(perSequence, minContext)
	}
	if cells < least {
		needed := int64(least+cellsStep-1) / cellsStep * cellsStep * perToken
		return 0, 0, fmt.Errorf("a KV cache of %s has room for %d tokens of this model (%s each as %s), but a context of %d needs %s; give --kv-memory at least that much, or choose a smaller --ctx or --kv type",
			humanize.IBytes(uint64(w.KVBytes)), w.KVBytes/perToken, humanize.IBytes(uint64(perToken)), w.KVType, least, humanize.IBytes(uint64(needed)))
	}
	if err := checkMemory(f, cells, w.KVType, available); err != nil {
		return 0, 0, fmt.Errorf("%w The KV cache is as large as --kv-memory asks for", err)
	}
	return min(perSequence, cells), cells, nil
}

func checkMemory(f models.Facts, cells int, kvType string, available int64) error {
	estimate, err := f.EstimateBytes(cells, MicroBatch, false, kvType)
	if err != nil {
		return err
	}
	return models.CheckMemory(estimate, available)
}
