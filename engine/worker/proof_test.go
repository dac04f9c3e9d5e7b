package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/vfs"
)

// shaky computes steps of few rows less exactly than those of many.
type shaky struct {
	Backend
	few, rows int
}

func (b *shaky) Decode(rows []llama.Row) error {
	b.rows = len(rows)
	return b.Backend.Decode(rows)
}

func (b *shaky) Logits(row int) ([]float32, error) {
	logits, err := b.Backend.Logits(row)
	if b.rows < b.few {
		for i := range logits {
			logits[i] *= 1.3
		}
	}
	return logits, err
}

// What a step of few rows gives is not held against KV that gives the right logits in one
// of many, as when it was saved.
func TestShortStepsAccuseNobody(t *testing.T) {
	fs := vfs.NewMem()
	prompts := map[string]string{"a": strings.Repeat("the tea ", 150), "b": strings.Repeat("a pot of ", 130)}
	r := newRig(t, llamatest.New(6000, 64), 4)
	r.loop.backend = &shaky{r.loop.backend, 16, 0}
	r.loop.keepIn(keepTo(t, fs))
	r.start()
	for name, prompt := range prompts {
		r.ask("first "+name, prompt, 100)
	}
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(6000, 64), 4)
	r.loop.backend = &shaky{r.loop.backend, 16, 0}
	r.loop.keepIn(keepTo(t, fs))
	for name, prompt := range prompts { // at once: one of them waits for the other's proof
		r.loop.inbox <- makeJob(name, prompt, 30)
		r.loop.inbox <- makeJob(name+" and more", prompt+"What else?", 30)
	}
	r.start()
	r.until("all end", func() bool { return len(r.end)+len(r.failed) == 2*len(prompts) })
	require.Empty(t, r.failed)
	for name, prompt := range prompts {
		require.Equal(t, alone(prompt, 30), r.text[name])
		require.Equal(t, alone(prompt+"What else?", 30), r.text[name+" and more"])
		require.Equal(t, len(prompt), r.end[name].Usage.CachedTokens, "what the proof computes is no part of the prompt")
	}
	r.stop()
	require.Zero(t, r.loop.keep.disproved)
	require.Zero(t, r.loop.keep.noisy)
	require.Positive(t, r.loop.keep.proven)
	require.NoError(t, r.loop.broken)
	r.loop.saveAll(time.Minute)
}

// More logits are kept of a prompt's end than of other places, and are no reason to doubt it
// more.
func TestOnlyTheLikeliestAreCompared(t *testing.T) {
	logits := make([]float32, 300)
	for i := range logits {
		logits[i] = float32(i % 100)
	}
	opening := likeliest(logits, openingSize)
	require.Zero(t, deviation(logits, opening))
	opening[digestSize].Value -= 1000
	require.Zero(t, deviation(logits, opening))
	opening[digestSize-1].Value -= 1000
	require.Greater(t, deviation(logits, opening), maxDeviation)
}
