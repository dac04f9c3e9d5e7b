package worker

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"samovar/engine/internal/wire"
	"samovar/engine/models"
)

// unknownContext serves models that do not say what they were made for.
const unknownContext = 4096

// cellsStep is what a pool's size is a multiple of, where a budget decides it.
const cellsStep = 256

// fit decides how many tokens a request may have (perSequence) and how large
// the pool is (cells), so that the model fits the available memory, in bytes.
// Without a wish of the user's it halves the model's own context until it fits,
// down to minContext; what was wished for is refused with numbers instead.
func fit(f models.Facts, cfg wire.Load, available int64) (perSequence, cells int, err error) {
	perSequence = cfg.ContextTokens
	if perSequence <= 0 {
		perSequence = f.ContextTokens
		if perSequence <= 0 {
			perSequence = unknownContext
		}
	} else if f.ContextTokens > 0 && perSequence > f.ContextTokens {
		return 0, 0, fmt.Errorf("a context of %d tokens was asked for, but the model was made for %d; take a smaller --ctx, or 0 for the model's own",
			perSequence, f.ContextTokens)
	}
	perToken, err := f.KVBytesPerToken(cfg.KVType)
	if err != nil {
		return 0, 0, err
	}
	if cfg.KVBytes > 0 && perToken > 0 { // recurrent models have no cells to speak of
		return fitBudget(f, cfg, perSequence, perToken, available)
	}
	for {
		// A larger pool than one conversation needs is a wish, not a must.
		for _, cells := range []int{max(perSequence, poolCells), perSequence} {
			err := checkMemory(f, cells, cfg.KVType, available)
			if err == nil {
				return perSequence, cells, nil
			}
			var tooMuch *models.MemoryError
			if !errors.As(err, &tooMuch) || (cells == perSequence && (cfg.ContextTokens > 0 || perSequence/2 < minContext)) {
				return 0, 0, err
			}
		}
		perSequence /= 2
	}
}

// fitBudget makes the pool as large as the user's budget for it allows, but no
// larger than all sequences together can fill. A context that nobody asked for
// shrinks to it, down to minContext.
func fitBudget(f models.Facts, cfg wire.Load, perSequence int, perToken, available int64) (int, int, error) {
	room := min(cfg.KVBytes/perToken, int64(sequences+hotSequences)*int64(perSequence))
	cells := int(room) / cellsStep * cellsStep
	least := perSequence
	if cfg.ContextTokens <= 0 {
		least = min(perSequence, minContext)
	}
	if cells < least {
		needed := int64(least+cellsStep-1) / cellsStep * cellsStep * perToken
		return 0, 0, fmt.Errorf("a KV cache of %s has room for %d tokens of this model (%s each as %s), but a context of %d needs %s; give --kv-memory at least that much, or choose a smaller --ctx or --kv type",
			humanize.IBytes(uint64(cfg.KVBytes)), cfg.KVBytes/perToken, humanize.IBytes(uint64(perToken)), cfg.KVType, least, humanize.IBytes(uint64(needed)))
	}
	if err := checkMemory(f, cells, cfg.KVType, available); err != nil {
		return 0, 0, fmt.Errorf("%w The KV cache is as large as --kv-memory asks for", err)
	}
	return min(perSequence, cells), cells, nil
}

func checkMemory(f models.Facts, cells int, kvType string, available int64) error {
	estimate, err := f.EstimateBytes(cells, microBatch, false, kvType)
	if err != nil {
		return err
	}
	return models.CheckMemory(estimate, available)
}
