package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/wire"
	"samovar/engine/models"
)

func TestFit(t *testing.T) {
	// 1 GiB of weights and 128 KiB of KV for each token.
	heads := make([]int, 32)
	for i := range heads {
		heads[i] = 8
	}
	facts := models.Facts{TensorBytes: 1 << 30, ContextTokens: 131072, Layers: 32, LayerKVHeads: heads, KeySize: 128, ValueSize: 128, Width: 4096, FeedForward: 14336}
	const gib = 1 << 30
	for name, tc := range map[string]struct {
		ctx, train    int
		available     int64
		perSeq, cells int
		fails         string
	}{
		"plenty: the model's own context":    {available: 64 * gib, train: 131072, perSeq: 131072, cells: 131072},
		"scarce: halved until it fits":       {available: 6 * gib, train: 131072, perSeq: 32768, cells: 32768},
		"small context: room for several":    {available: 64 * gib, train: 4096, perSeq: 4096, cells: 16384},
		"small and scarce: for one":          {available: 2500 << 20, train: 4096, perSeq: 4096, cells: 4096},
		"a wish that fits":                   {ctx: 8192, available: 64 * gib, train: 131072, perSeq: 8192, cells: 16384},
		"a wish that does not fit":           {ctx: 65536, available: 6 * gib, train: 131072, fails: "memory"},
		"a wish beyond the model":            {ctx: 200000, available: 64 * gib, train: 131072, fails: "131072"},
		"the weights alone do not fit":       {available: gib, train: 131072, fails: "memory"},
		"a model that does not say its size": {available: 64 * gib, train: 0, perSeq: 4096, cells: 16384},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts
			f.ContextTokens = tc.train
			perSeq, cells, err := fit(f, wire.Load{ContextTokens: tc.ctx, KVType: "f16"}, tc.available)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.perSeq, perSeq)
			require.Equal(t, tc.cells, cells)
		})
	}
	_, _, err := fit(facts, wire.Load{KVType: "q9"}, 64*gib)
	require.ErrorContains(t, err, "q9")
}
