package shape

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/models/gguf"
)

func digest(t *testing.T, path string) string {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

func TestEnsureWritesReusesAndRepairs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shapes")
	var last, total int64
	path, err := Ensure(t.Context(), dir, "tiny", func(d, n int64) {
		require.Greater(t, d, last)
		last, total = d, n
	})
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, info.Size(), total)
	want := digest(t, path)

	called := false
	_, err = Ensure(t.Context(), dir, "tiny", func(int64, int64) { called = true })
	require.NoError(t, err)
	require.False(t, called, "an existing file is used")

	for _, damage := range []func(){
		func() { require.NoError(t, os.Truncate(path, info.Size()-1)) },
		func() { require.NoError(t, os.WriteFile(path, []byte("GGUF"), 0o600)) },
	} {
		damage()
		_, err = Ensure(t.Context(), dir, "tiny", nil)
		require.NoError(t, err)
		require.Equal(t, want, digest(t, path), "the same bytes each time")
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestEnsureLeavesNothingWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Ensure(ctx, dir, "tiny", nil)
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEnsureNamesTheShapesThereAre(t *testing.T) {
	_, err := Ensure(t.Context(), t.TempDir(), "7t", nil)
	require.ErrorContains(t, err, `there is no shape "7t"; choose one of 0.5b, 1b, 3b, 8b, tiny, swa, mamba, hybrid`)
}

func TestEveryShapeHasASoundLayout(t *testing.T) {
	for _, s := range specs {
		p, err := s.plan()
		require.NoError(t, err)
		require.Len(t, p.fills, len(p.Tensors))
		covered := int64(0)
		for _, c := range p.chunks() {
			covered += c.rows * c.rowBytes
		}
		sum := int64(0)
		for _, x := range p.Tensors {
			sum += int64(x.Size)
			require.True(t, x.Type != gguf.Q6_K || x.Dims[0]%256 == 0)
		}
		require.Equal(t, sum, covered, s.name)
	}
}

func TestTokensAreWholeText(t *testing.T) {
	seen := make(map[string]bool)
	for c := range 256 {
		seen[string(byteRune(byte(c)))] = true
	}
	require.Len(t, seen, 256)
	require.Equal(t, "Ġ", string(byteRune(' ')))
	require.Equal(t, "Ċ", string(byteRune('\n')))
	for i := range 130000 {
		w := filler(i)
		require.True(t, len(w) >= 4 && utf8.ValidString(w) && !seen[w], w)
		seen[w] = true
	}
}

func TestHalf(t *testing.T) {
	for v, want := range map[float64]uint16{1: 0x3c00, 0.5: 0x3800, 65504: 0x7bff, 0.00432: 0x1c6c, 6e-8: 1, 1.69e-5: 284} {
		require.Equal(t, want, half(v), "%v", v)
	}
}

func TestNoiseHasTheStatedDeviation(t *testing.T) {
	r := newRandom("x", "y", 0)
	var sum, squares float64
	const n = 100000
	for range n {
		v := r.normal()
		sum += v
		squares += v * v
	}
	require.InDelta(t, 0, sum/n, 0.02)
	require.InDelta(t, 1, math.Sqrt(squares/n), 0.02)
}
