package models_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/models"
	"samovar/engine/models/guide"
	"samovar/engine/models/modelstest"
	"samovar/engine/models/shape"
)

func TestBadFilesAreRefusedWithTheirReason(t *testing.T) {
	files := modelstest.BadFiles(t)
	require.Greater(t, len(files), 60)
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			_, err := models.Inspect(f.Path)
			var bad *models.BadFileError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, f.Path, bad.Path)
			require.Contains(t, bad.Reason, f.WantReason)
			require.Regexp(t, `^[A-Z].*[.)]$`, bad.Reason)
			require.Regexp(t, `^[A-Z].*\.$`, bad.Hint)
		})
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	raw, err := os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "cut.gguf")
	for i := range 300 {
		require.NoError(t, os.WriteFile(path, raw[:len(raw)*i/300], 0o600))
		_, err := models.Inspect(path)
		var bad *models.BadFileError
		require.ErrorAs(t, err, &bad, "cut at %d", len(raw)*i/300)
	}
}

func TestFactsOfTheGuide(t *testing.T) {
	path, err := guide.Install(t.TempDir())
	require.NoError(t, err)
	f, err := models.Inspect(path)
	require.NoError(t, err)
	require.Equal(t, "llama", f.Architecture)
	require.Equal(t, models.Attention, f.Class)
	require.Equal(t, 64, f.KeySize)
	require.GreaterOrEqual(t, f.ContextTokens, 4096)
	require.NotEmpty(t, f.ChatTemplate)
	require.LessOrEqual(t, f.FileBytes, int64(8<<20))
}

func TestFactsOfAShape(t *testing.T) {
	path, err := shape.Ensure(t.Context(), t.TempDir(), "0.5b", nil)
	require.NoError(t, err)
	f, err := models.Inspect(path)
	require.NoError(t, err)
	require.Equal(t, "Samovar shape 0.5b", f.Name)
	require.Equal(t, "Q4_0", f.Quantisation)
	require.Equal(t, []int{24, 896, 14, 2, 64, 64, 4864, 32000, 32768},
		[]int{f.Layers, f.Width, f.Heads, f.KVHeads, f.KeySize, f.ValueSize, f.FeedForward, f.VocabSize, f.ContextTokens})
	require.InDelta(t, 217.8e6, float64(f.TensorBytes), 0.3e6) // ENGINE.md §8

	for kv, want := range map[string]int64{"f16": 12288, "q8_0": 6528, "q4_0": 3456, "F32": 24576} { // ENGINE.md §5
		got, err := f.KVBytesPerToken(kv)
		require.NoError(t, err)
		require.Equal(t, want, got, kv)
	}
	_, err = f.KVBytesPerToken("q17")
	require.ErrorContains(t, err, "no KV type")
}

func TestEstimateIsNearWhatWasMeasured(t *testing.T) {
	f := models.Facts{TensorBytes: 217.6e6, Width: 896, FeedForward: 4864, KeySize: 64, ValueSize: 64, LayerKVHeads: make([]int, 24)}
	for i := range f.LayerKVHeads {
		f.LayerKVHeads[i] = 2
	}
	for cells, computeMiB := range map[int]float64{2048: 38, 131072: 164} { // ENGINE.md §10
		e, err := f.EstimateBytes(cells, 512, false, "f16")
		require.NoError(t, err)
		require.InDelta(t, computeMiB, float64(e.Compute)/(1<<20), 2)
		require.Equal(t, int64(cells)*12288, e.KV)
		require.Equal(t, f.TensorBytes, e.Weights)
		require.Equal(t, e.Weights+e.KV+e.Compute+e.Base, e.Total())

		mapped, err := f.EstimateBytes(cells, 512, true, "f16")
		require.NoError(t, err)
		require.Equal(t, 2*f.TensorBytes, mapped.Weights)

		require.NoError(t, models.CheckMemory(e, e.Total()))
		err = models.CheckMemory(e, e.Total()-1)
		var short *models.MemoryError
		require.ErrorAs(t, err, &short)
		require.Contains(t, err.Error(), "are available")
	}
	for _, cells := range []int{0, -1, 1 << 40} {
		_, err := f.EstimateBytes(cells, 512, false, "f16")
		require.Error(t, err)
	}
}

func TestAvailableMemoryIsKnown(t *testing.T) {
	n, err := models.Available()
	require.NoError(t, err)
	require.Greater(t, n, int64(64<<20))
}
