package llama_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
)

var roomy = llama.ContextParams{Cells: 2048, Rows: 512, Sequences: 4, Threads: 1}

// next returns the greedy token after what a sequence holds and one more token.
func next(t *testing.T, c *llama.Context, seq int, token llama.Token) llama.Token {
	t.Helper()
	s, err := c.NewSampler(llama.SamplerParams{TopP: 1, RepeatPenalty: 1})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, c.Decode(rows(seq, c.Len(seq), token)))
	out, err := s.Sample(0)
	require.NoError(t, err)
	return out
}

func TestSharedAndMovedSequencesContinueAsTheOriginal(t *testing.T) {
	m, c := open(t, roomy)
	require.Equal(t, llama.KindAttention, m.Kind())
	prompt := tokens(t, m, "What is a samovar, and how do I connect Claude Code to it?")
	n := len(prompt) - 1
	require.NoError(t, c.Decode(rows(0, 0, prompt[:n]...)))
	require.NoError(t, c.Share(0, 1, n))
	require.NoError(t, c.Decode(rows(2, 0, tokens(t, m, "something else")...)))

	data, err := c.Take(0, n/2, n)
	require.NoError(t, err)
	want := next(t, c, 0, prompt[n])
	require.Equal(t, want, next(t, c, 1, prompt[n]))
	require.NoError(t, c.Remove(0))

	require.NoError(t, c.Truncate(1, n/2))
	require.NoError(t, c.Put(1, data, n/2, n))
	require.Equal(t, want, next(t, c, 1, prompt[n]))
	for seq := range 4 {
		require.NoError(t, c.Verify(seq))
	}
	require.Equal(t, 0, c.Len(0))
	require.Equal(t, n+1, c.Len(1))
}

func TestSequenceOperationsRefuseNonsense(t *testing.T) {
	m, c := open(t, roomy)
	require.NoError(t, c.Decode(rows(0, 0, tokens(t, m, "tea")...)))
	for name, err := range map[string]error{
		"share with itself":   c.Share(0, 0, 1),
		"share too much":      c.Share(0, 1, 4),
		"share from nowhere":  c.Share(7, 1, 0),
		"share with nobody":   c.Share(0, -1, 1),
		"truncate to more":    c.Truncate(0, 4),
		"truncate below":      c.Truncate(0, -1),
		"remove what is ours": c.Remove(roomy.Sequences),
		"put nothing":         c.Put(1, nil, 0, 1),
		"put elsewhere":       c.Put(1, []byte("x"), 2, 3),
		"put junk":            c.Put(1, []byte("junk"), 0, 3),
	} {
		require.Error(t, err, name)
	}
	_, err := c.Take(0, 2, 2)
	require.Error(t, err)
	_, err = c.Take(0, 0, 4)
	require.Error(t, err)
	for seq := range 4 {
		require.NoError(t, c.Verify(seq))
	}
	require.Equal(t, 3, c.Len(0))
}

func TestAnAbortedStepLeavesNothingBehind(t *testing.T) {
	m, c := open(t, roomy)
	long := make([]llama.Token, 500)
	for i := range long {
		long[i] = tokens(t, m, "a")[0]
	}
	c.Abort()
	require.ErrorIs(t, c.Decode(rows(0, 0, long...)), llama.ErrAborted)
	require.NoError(t, c.Verify(0))
	require.NoError(t, c.Decode(rows(1, 0, long[:8]...)), "a short step is not worth it")
	c.Resume()
	require.NoError(t, c.Decode(rows(0, 0, long...)))
	require.NoError(t, c.Remove(0))

	// From another goroutine, while it computes.
	ended := make(chan error, 1)
	go func() {
		for {
			if err := c.Decode(rows(0, 0, long...)); err != nil {
				ended <- err
				return
			}
			if err := c.Remove(0); err != nil {
				ended <- err
				return
			}
		}
	}()
	c.Abort()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, llama.ErrAborted)
	case <-time.After(20 * time.Second):
		require.Fail(t, "the step is not aborted")
	}
	require.NoError(t, c.Verify(0))
}
