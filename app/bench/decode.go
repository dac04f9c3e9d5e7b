package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Config says what to measure.
type Config struct {
	// BaseURL is a ready server with nothing else to do.
	BaseURL string
	// Raw runs one round of the raw loop: rows sequences of so many prompt tokens,
	// and tokens more for each. It returns the time of the tokens-1 steps.
	Raw                     func(ctx context.Context, rows, tokens, promptTokens int) (time.Duration, error)
	Streams, Tokens, Rounds int
	// Progress is told what happens now.
	Progress func(what string)
}

// Decode measures a single stream, and several at once, against the raw loop.
func Decode(ctx context.Context, c Config) (Result, error) {
	c.Progress("warming up")
	probe, err := stream(ctx, c.BaseURL, prompt(0), min(c.Tokens, 16))
	if err != nil {
		return Result{}, err
	}
	r := Result{Tokens: c.Tokens, Rounds: c.Rounds, PromptTokens: probe.prompt}
	for _, streams := range sizes(c.Streams) {
		m, err := measure(ctx, c, streams, probe.prompt)
		if err != nil {
			return Result{}, err
		}
		r.Measurements = append(r.Measurements, m)
		if m.ShortestAnswer < c.Tokens {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the model ended an answer after %d of %d tokens; rates are of what it said", m.ShortestAnswer, c.Tokens))
		}
	}
	r.RatioToRaw = r.Measurements[0].RatioToRaw
	return r, nil
}

// sizes are the numbers of streams that are measured: one, and several.
func sizes(streams int) []int {
	if streams == 1 {
		return []int{1}
	}
	return []int{1, streams}
}

// measure interleaves rounds of both sides. One round before the first, of
// each, does not count.
func measure(ctx context.Context, c Config, streams, promptTokens int) (Measurement, error) {
	m := Measurement{Streams: streams, ShortestAnswer: c.Tokens}
	var ttfts []time.Duration
	for round := -1; round < c.Rounds; round++ {
		c.Progress(fmt.Sprintf("%d at once: round %d of %d", streams, max(round+1, 0), c.Rounds))
		var rawRate, httpRate float64
		var seen []streamed
		var err error
		sides := []func() error{
			func() error {
				took, err := c.Raw(ctx, streams, c.Tokens, promptTokens)
				rawRate = float64(streams*(c.Tokens-1)) / took.Seconds()
				return err
			},
			func() (err error) {
				seen, err = together(ctx, c.BaseURL, streams, c.Tokens)
				return err
			},
		}
		if round%2 != 0 {
			slices.Reverse(sides)
		}
		for _, side := range sides {
			if err := side(); err != nil {
				return Measurement{}, err
			}
		}
		if httpRate, err = rate(seen); err != nil {
			return Measurement{}, err
		}
		if round < 0 {
			continue
		}
		m.Raw.All = append(m.Raw.All, rawRate)
		m.HTTP.All = append(m.HTTP.All, httpRate)
		m.Ratios = append(m.Ratios, httpRate/rawRate)
		for _, s := range seen {
			ttfts = append(ttfts, s.ttft())
			m.ShortestAnswer = min(m.ShortestAnswer, s.completion)
		}
	}
	m.Raw.summarise()
	m.HTTP.summarise()
	m.RatioToRaw = median(m.Ratios)
	m.TTFTMillis = median(milliseconds(ttfts))
	return m, nil
}

func milliseconds(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = float64(d.Microseconds()) / 1000
	}
	return out
}

// median of values, which are not empty; the mean of the middle two if even.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
