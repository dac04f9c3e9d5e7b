package worker

import (
	"fmt"
	"time"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// measure answers a request for a round of the raw loop.
func (l *loop) measure(m wire.Measure) {
	done := wire.Measured{ID: m.ID}
	took, err := l.raw(m.Rows, m.Tokens, m.PromptTokens)
	if err != nil {
		done.Error = err.Error()
	}
	done.Seconds = took.Seconds()
	l.send(wire.KindMeasured, done)
}

// raw is the plain llama.cpp loop that benchmarks compare with, with nothing of
// ours in the way: one batch a step, greedy. It runs in the worker itself, on the
// same weights and the same pool: processes differ by a tenth in how lucky they are
// with physical memory. It returns the time of tokens-1 steps, from the first
// sampled tokens to the last.
//
// Nothing else may be active. Sequences that idle in the pool are evicted.
func (l *loop) raw(rows, tokens, prompt int) (time.Duration, error) {
	if rows < 1 || rows > l.sizes.sequences || tokens < 2 || prompt < 1 || rows*(prompt+tokens) > l.sizes.cells {
		return 0, fmt.Errorf("%d rows of %d prompt tokens and %d more cannot be measured here", rows, prompt, tokens)
	}
	l.pool.Sequences(func(seq int, _ *kv.Sequence) { l.evict([]int{seq}) })
	if l.broken != nil {
		return 0, l.broken
	}
	defer func() {
		for seq := range rows {
			if err := l.backend.Remove(seq); err != nil {
				l.broken = err
			}
		}
		l.pool.Besides()
	}()
	samplers := make([]Sampler, rows)
	next := make([]llama.Token, rows)
	for seq := range samplers {
		var err error
		if samplers[seq], err = l.backend.NewSampler(llama.SamplerParams{TopP: 1, RepeatPenalty: 1}, nil); err != nil {
			return 0, err
		}
		defer samplers[seq].Close()
		if next[seq], err = l.rawPrefill(samplers[seq], seq, prompt); err != nil {
			return 0, err
		}
	}
	batch := make([]llama.Row, rows)
	start := time.Now()
	for i := range tokens - 1 {
		for seq := range batch {
			batch[seq] = llama.Row{Seq: seq, Pos: prompt + i, Token: next[seq], Output: true}
		}
		if err := l.backend.Decode(batch); err != nil {
			return 0, err
		}
		for seq := range batch {
			var err error
			if next[seq], err = samplers[seq].Sample(seq); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(start), nil
}

// rawPrefill evaluates a made-up prompt and returns the first sampled token.
func (l *loop) rawPrefill(s Sampler, seq, prompt int) (llama.Token, error) {
	last := 0
	for pos := 0; pos < prompt; pos += l.sizes.steps.MaxRows {
		var rows []llama.Row
		for i := pos; i < min(pos+l.sizes.steps.MaxRows, prompt); i++ {
			// Printable bytes have low token numbers in most vocabularies.
			token := llama.Token((i*7 + seq*13 + 33) % 200)
			rows = append(rows, llama.Row{Seq: seq, Pos: i, Token: token, Output: i == prompt-1})
		}
		if err := l.backend.Decode(rows); err != nil {
			return 0, err
		}
		last = len(rows) - 1
	}
	return s.Sample(last)
}
