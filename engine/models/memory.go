package models

import (
	"fmt"
	"strings"

	"samovar/engine/models/gguf"
)

// kvTypes are the types that a KV cache may have.
var kvTypes = map[string]gguf.Type{
	"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}

// KVBytesPerToken is what one cell of the KV cache takes in all layers. Layers
// with a sliding window are counted like the others: an upper bound.
func (f Facts) KVBytesPerToken(kvType string) (int64, error) {
	t, ok := kvTypes[strings.ToLower(kvType)]
	if !ok {
		return 0, fmt.Errorf("there is no KV type %q; choose f16, q8_0 or another of the engine's", kvType)
	}
	var total int64
	for _, heads := range f.LayerKVHeads {
		key, okK := t.RowBytes(int64(heads) * int64(f.KeySize))
		value, okV := t.RowBytes(int64(heads) * int64(f.ValueSize))
		if !okK || !okV {
			return 0, fmt.Errorf("the KV type %s does not fit heads of %d and %d numbers; choose f16", kvType, f.KeySize, f.ValueSize)
		}
		total += key + value
	}
	return total, nil
}

// Estimate is the memory that a loaded model takes, in bytes.
type Estimate struct {
	Weights int64 // resident tensors, twice where they are repacked beside a mapping
	KV      int64 // the whole pool: it is zeroed, hence resident, at once
	Compute int64 // the graph's buffers
	Base    int64 // the process, its tables and vocabulary
}

// Total is the sum.
func (e Estimate) Total() int64 { return e.Weights + e.KV + e.Compute + e.Base }

// baseBytes is the process without a model (17 MB) and room for its tables.
const baseBytes = 32 << 20

// EstimateBytes foretells the memory of a context of that many cells, by the
// formula of ENGINE.md §10: weights (twice with a mapping, as the CPU back end
// repacks them), cells × KV bytes per token, and compute buffers. Those fit
// rows × (4 widths + 3 feed-forwards) floats plus a half-precision mask of
// cells × rows, 38 MiB at 2,048 cells of the 0.5b shape and 164 at 131,072.
func (f Facts) EstimateBytes(cells, ubatch int, mmap bool, kvType string) (Estimate, error) {
	if cells <= 0 || cells > maxContext || ubatch <= 0 || ubatch > 1<<16 {
		return Estimate{}, fmt.Errorf("a context of %d cells and batches of %d rows is not possible", cells, ubatch)
	}
	perToken, err := f.KVBytesPerToken(kvType)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Weights: f.TensorBytes, KV: int64(cells) * perToken, Base: baseBytes}
	if mmap {
		e.Weights *= 2
	}
	e.Compute = int64(ubatch)*4*int64(4*f.Width+3*f.FeedForward) + 2*int64(cells)*int64(ubatch)
	return e, nil
}

// CheckMemory gives a *MemoryError if the estimate exceeds what is available.
func CheckMemory(e Estimate, available int64) error {
	if e.Total() <= available {
		return nil
	}
	return &MemoryError{Need: e.Total(), Available: available, Estimate: e}
}
