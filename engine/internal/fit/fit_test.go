package fit

import (
	"testing"

	"github.com/stretchr/testify/require"

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
		budget        int64
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

		"a budget decides the pool":                 {budget: 4 * gib, ctx: 8192, available: 64 * gib, train: 131072, perSeq: 8192, cells: 32768},
		"a budget shrinks the model's own context":  {budget: gib + 5, available: 64 * gib, train: 131072, perSeq: 8192, cells: 8192},
		"but not one that was asked for":            {budget: gib, ctx: 16384, available: 64 * gib, train: 131072, fails: "1.0 GiB has room for 8192 tokens of this model (128 KiB each as f16), but a context of 16384 needs 2.0 GiB"},
		"a budget for less than the least context":  {budget: 100 << 20, available: 64 * gib, train: 131072, fails: "needs 256 MiB"},
		"a small model needs its own context only":  {budget: 128 << 20, available: 64 * gib, train: 1024, perSeq: 1024, cells: 1024},
		"a budget beyond use":                       {budget: 60 * gib, available: 64 * gib, train: 4096, perSeq: 4096, cells: 48 * 4096},
		"a budget beyond the machine":               {budget: 32 * gib, available: 16 * gib, train: 131072, fails: "--kv-memory"},
		"a budget that is not a multiple of a cell": {budget: gib + gib/2 - 1, ctx: 4096, available: 64 * gib, train: 131072, perSeq: 4096, cells: 12288 - 256},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts
			f.ContextTokens = tc.train
			perSeq, cells, err := choose(f, Wish{ContextTokens: tc.ctx, KVType: "f16", KVBytes: tc.budget}, tc.available)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.perSeq, perSeq)
			require.Equal(t, tc.cells, cells)
		})
	}
	stateOnly := facts
	stateOnly.LayerKVHeads = make([]int, 32) // mamba
	perSeq, cells, err := choose(stateOnly, Wish{KVType: "f16", KVBytes: 1 << 20}, 64*gib)
	require.NoError(t, err)
	require.Equal(t, []int{131072, 131072}, []int{perSeq, cells}, "a budget for cells that take nothing")
	_, _, err = choose(facts, Wish{KVType: "q9"}, 64*gib)
	require.ErrorContains(t, err, "q9")
}
