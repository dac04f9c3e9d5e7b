package worker

import (
	"errors"
	"fmt"

	"samovar/engine/internal/wire"
	"samovar/engine/models"
)

// unknownContext serves models that do not say what they were made for.
const unknownContext = 4096

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
	for {
		// A larger pool than one conversation needs is a wish, not a must.
		for _, cells := range []int{max(perSequence, poolCells), perSequence} {
			estimate, err := f.EstimateBytes(cells, microBatch, false, cfg.KVType)
			if err != nil {
				return 0, 0, err
			}
			if err = models.CheckMemory(estimate, available); err == nil {
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
