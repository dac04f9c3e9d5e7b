package worker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
)

func TestSamplingThatTheFileRecommends(t *testing.T) {
	from := func(meta map[string]float64) llama.SamplerParams {
		return metaSampling(func(key string) (float64, bool) {
			v, ok := meta[key]
			return v, ok
		})
	}
	require.Equal(t, defaultSampling, from(nil))

	want := defaultSampling
	want.Temperature, want.TopP, want.MinP, want.RepeatPenalty, want.TopK, want.PenaltyWindow = 0.6, 0.9, 0, 1.1, 20, 256
	require.Equal(t, want, from(map[string]float64{
		"general.sampling.temp": 0.6, "general.sampling.top_p": 0.9, "general.sampling.min_p": 0,
		"general.sampling.penalty_repeat": 1.1, "general.sampling.top_k": 20, "general.sampling.penalty_last_n": 256,
	}))

	// No request may fail, and llama.cpp not abort, because of the file.
	require.Equal(t, defaultSampling, from(map[string]float64{
		"general.sampling.temp": -1, "general.sampling.top_p": 0, "general.sampling.min_p": 2,
		"general.sampling.penalty_repeat": 0, "general.sampling.top_k": 1e300, "general.sampling.penalty_last_n": 2e9,
	}))
}

// An answer that another worker began goes on with what comes next, stop strings and
// limits included.
func TestAnAnswerGoesOnInAnotherWorker(t *testing.T) {
	prompt := strings.Repeat("the tea ", 10)
	whole := alone(prompt, 30)
	for _, n := range []int{1, 7, 29} {
		r := newRig(t, llamatest.New(3000, 64), 4)
		r.start()
		j := makeJob("again", prompt, 30)
		said, _ := (*llamatest.Fake)(nil).Tokenize(whole[:n], true)
		j.stop = []string{whole[n-1 : n+1]} // which is complete with the next token
		if n == 29 {
			j.stop = nil
		}
		require.Nil(t, j.goOn(said, 3000))
		require.Equal(t, len(prompt), j.promptTokens())
		r.loop.inbox <- j
		r.until("it ends", func() bool { return r.end["again"] != nil })
		require.Equal(t, len(prompt), r.end["again"].Usage.PromptTokens)
		require.Zero(t, r.end["again"].Usage.CachedTokens, "all of the prompt was computed")
		if n == 29 {
			require.Equal(t, whole[29:], r.text["again"])
			require.Equal(t, infer.FinishLength, r.end["again"].Reason)
			require.Equal(t, 30, r.end["again"].Usage.CompletionTokens)
		} else {
			require.Empty(t, r.text["again"])
			require.Equal(t, infer.FinishStopString, r.end["again"].Reason)
			require.Equal(t, n+1, r.end["again"].Usage.CompletionTokens)
		}
		r.stop()
	}
	j := makeJob("full", prompt, 5)
	require.NotNil(t, j.goOn(j.tokens[:5], 3000))
}
