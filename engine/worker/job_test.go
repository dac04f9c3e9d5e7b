package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
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
