package llama_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/models/shape"
)

// shaped opens a model with random weights.
func shaped(t *testing.T, name string, p llama.ContextParams) (*llama.Model, *llama.Context) {
	t.Helper()
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	path, err := shape.Ensure(t.Context(), t.TempDir(), name, nil)
	require.NoError(t, err)
	m, err := lib.OpenModel(llama.ModelParams{Path: path})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	p.KVType = "f16"
	c, err := m.NewContext(p)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return m, c
}

// feed appends tokens to a sequence and returns the logits after the last.
func feed(t *testing.T, c *llama.Context, seq int, tokens []llama.Token) []float32 {
	t.Helper()
	row := 0
	for chunk := range slices.Chunk(tokens, c.Params().Rows) {
		require.NoError(t, c.Decode(rows(seq, c.Len(seq), chunk...)))
		row = len(chunk) - 1
	}
	logits, err := c.Logits(row)
	require.NoError(t, err)
	return slices.Clone(logits)
}

// apart is the largest difference between logits, in standard deviations.
func apart(a, b []float32) float64 {
	sum, most := 0.0, 0.0
	for i := range a {
		sum += float64(a[i]) * float64(a[i])
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most / math.Sqrt(sum/float64(len(a)))
}

func random(n int, seed uint64) []llama.Token {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]llama.Token, n)
	for i := range out {
		out[i] = llama.Token(r.IntN(500))
	}
	return out
}

// Blocks that were taken while the sequence grew, and the state of its end, make the
// same sequence again, beside others, for every kind of model; another's do not.
func TestStatesOfEveryKindComeBack(t *testing.T) {
	const block = 256
	for _, kind := range []struct {
		shape string
		kind  llama.Kind
	}{{"tiny", llama.KindAttention}, {"swa", llama.KindWindow}, {"mamba", llama.KindRecurrent}, {"hybrid", llama.KindHybrid}} {
		t.Run(kind.shape, func(t *testing.T) {
			m, c := shaped(t, kind.shape, llama.ContextParams{Cells: 8192, Rows: 256, Sequences: 6, Threads: 1})
			require.Equal(t, kind.kind, m.Kind())
			blocks, state := kind.kind != llama.KindRecurrent, kind.kind != llama.KindAttention
			for _, n := range []int{100, 256, 700, 1536} {
				all := random(n+3, uint64(n))
				feed(t, c, 3, random(333, 7)) // somebody else
				type part struct {
					from, to int
					data     []byte
				}
				var parts []part
				for from := 0; from < n; from += block {
					to := min(n, from+block)
					feed(t, c, 0, all[from:to])
					if blocks {
						data, err := c.Take(0, from, to)
						require.NoError(t, err)
						parts = append(parts, part{from, to, data})
					}
				}
				var end []byte
				if state {
					var err error
					end, err = c.State(0)
					require.NoError(t, err)
				}
				t.Logf("%d tokens: %d bytes beside the tokens'", n, len(end))

				// The state is the same with company and after it has been shared as a whole.
				require.NoError(t, c.Share(0, 1, n))
				copied := feed(t, c, 1, all[n:])
				want := feed(t, c, 0, all[n:])
				require.Less(t, apart(want, copied), 0.03)

				for _, p := range parts {
					require.NoError(t, c.Put(2, p.data, p.from, p.to))
				}
				if state {
					if blocks {
						require.Error(t, c.Decode(rows(2, n, all[n])), "it is not whole yet")
						_, err := c.State(2)
						require.ErrorIs(t, err, llama.ErrUnsafe)
					}
					require.NoError(t, c.PutState(2, end, n))
				}
				require.NoError(t, c.Verify(2))
				require.Less(t, apart(want, feed(t, c, 2, all[n:])), 0.03)

				other := append(random(n, 99), all[n:]...)
				require.Greater(t, apart(want, feed(t, c, 4, other)), 0.1, "what is before matters")
				for seq := range 5 {
					require.NoError(t, c.Verify(seq))
					require.NoError(t, c.Remove(seq))
				}
			}
		})
	}
}

// What a kind of model's memory would do wrongly is refused.
func TestWhatIsWrongForAKindIsRefused(t *testing.T) {
	for _, name := range []string{"swa", "mamba", "hybrid"} {
		t.Run(name, func(t *testing.T) {
			m, c := shaped(t, name, llama.ContextParams{Cells: 1024, Rows: 256, Sequences: 3, Threads: 1})
			feed(t, c, 0, random(50, 1))
			require.ErrorIs(t, c.Truncate(0, 20), llama.ErrUnsafe)
			require.ErrorIs(t, c.Share(0, 1, 20), llama.ErrUnsafe)
			end, err := c.State(0)
			require.NoError(t, err)
			require.Error(t, c.PutState(0, end, 50), "it has one")
			require.Error(t, c.PutState(1, end, 0))
			_, err = c.State(1)
			require.ErrorIs(t, err, llama.ErrUnsafe)
			data, err := c.Take(0, 0, 50)
			if m.Kind() == llama.KindRecurrent {
				require.ErrorIs(t, err, llama.ErrUnsafe)
				require.ErrorIs(t, c.Put(1, end, 0, 50), llama.ErrUnsafe)
				return
			}
			require.NoError(t, err)
			require.Error(t, c.Put(0, data, 50, 100), fmt.Sprint("behind a state of ", m.Kind()))
			require.Error(t, c.PutState(1, end, 50), "the tokens come first")
			require.NoError(t, c.Put(1, data, 0, 50))
			require.Error(t, c.PutState(1, end, 49))
			require.Error(t, c.PutState(1, end[:len(end)-1], 50))
			require.Equal(t, 0, c.Len(1), "what failed has left nothing")
			require.NoError(t, c.Verify(1))
		})
	}
}

// The sequences of a step do not disturb each other, whatever else the state has.
func TestSequencesOfAStepAreComputedAsAlone(t *testing.T) {
	for _, name := range []string{"tiny", "swa", "mamba", "hybrid"} {
		t.Run(name, func(t *testing.T) {
			_, c := shaped(t, name, llama.ContextParams{Cells: 4096, Rows: 256, Sequences: 6, Threads: 1})
			one, other := random(340, 1), random(340, 2)
			const n = 300
			feed(t, c, 0, one[:n])
			feed(t, c, 1, other[:n])
			require.NoError(t, c.Share(0, 2, n))
			require.NoError(t, c.Share(1, 3, n))
			alone := [][]float32{feed(t, c, 0, one[n:n+5]), feed(t, c, 1, other[n:n+1]), nil}
			step := rows(2, n, one[n:n+5]...)
			step = append(step, rows(3, n, other[n])...)
			require.NoError(t, c.Share(1, 5, n+1))
			step = append(step, rows(5, n+1, other[n+1])...)
			require.NoError(t, c.Share(1, 4, n+1))
			alone[2] = feed(t, c, 4, other[n+1:n+2])
			require.NoError(t, c.Decode(step))
			for i, row := range []int{4, 5, 6} {
				logits, err := c.Logits(row)
				require.NoError(t, err)
				require.Less(t, apart(alone[i], logits), 0.03, "sequence %d of the step", i)
			}
		})
	}
}
