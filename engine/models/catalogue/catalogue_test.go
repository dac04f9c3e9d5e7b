package catalogue

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

const gib = 1 << 30

func TestEntriesAreWhole(t *testing.T) {
	names := map[string]bool{"guide": true}
	ranks := map[int]bool{}
	for _, e := range Entries() {
		require.NotEmpty(t, e.Name)
		for _, n := range append(e.Aliases, e.Name) {
			require.False(t, names[n], "%s is there twice", n)
			names[n] = true
			found, ok := Find(n)
			require.True(t, ok)
			require.Equal(t, e, found)
		}
		require.Regexp(t, regexp.MustCompile(`^[\w.-]+/[\w.-]+$`), e.Repo)
		require.NotEmpty(t, e.Quant, e.Name)
		require.Greater(t, e.Bytes, int64(100<<20), e.Name)
		require.Positive(t, e.Context, e.Name)
		require.Positive(t, e.KVBytesPerToken, e.Name)
		require.Contains(t, []string{"chat", "embedding", "vision-text"}, e.Kind, e.Name)
		require.NotEmpty(t, e.Licence, e.Name)
		require.NotEmpty(t, e.Tools, e.Name)
		require.False(t, ranks[e.Rank], "%s has another one's rank", e.Name)
		ranks[e.Rank] = true
		if e.Checked {
			require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{64}$`), e.SHA256, e.Name)
		} else {
			require.Empty(t, e.SHA256, e.Name)
		}
		// Four to nine bits for each weight, or it is another file's size.
		bits := float64(8*e.Bytes) / float64(e.Parameters)
		require.True(t, bits > 4 && bits < 9, "%s has %.1f bits for each weight", e.Name, bits)
	}
	require.GreaterOrEqual(t, len(Entries()), 12)
	_, ok := Find("QWEN3:8b")
	require.True(t, ok)
	_, ok = Find("nothing")
	require.False(t, ok)
}

func TestRecommendationsFit(t *testing.T) {
	best := map[int]string{}
	for _, memory := range []int64{4, 8, 16, 24, 32, 48, 64, 96, 128} {
		for _, e := range Recommend(memory * gib) {
			require.LessOrEqual(t, e.Needs(8192), memory*gib*3/4, "%s in %d GiB", e.Name, memory)
		}
		if all := Recommend(memory * gib); len(all) > 0 {
			best[int(memory)] = all[0].Name
		}
	}
	t.Log(best)
	require.Equal(t, "qwen3-4b", best[8])
	require.Equal(t, "qwen3-14b", best[16])
	require.Equal(t, "qwen3-coder-30b", best[32])
	require.Equal(t, "qwen3-coder-30b", best[64])
	require.Equal(t, "gpt-oss-120b", best[128])
	require.Empty(t, Recommend(gib))
}
