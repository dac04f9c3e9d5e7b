package engine

import (
	"context"
	"errors"
	"time"

	"samovar/engine/internal/wire"
)

// RawDecode has the worker run one round of the plain llama.cpp loop, on the same
// weights, pool and threads as everything else: rows sequences of promptTokens
// made-up tokens, and tokens more for each. It returns the time of the tokens-1
// steps of decoding. It is for benchmarks: the round waits until nothing else is to
// be done, and what idles in the pool is lost.
func (e *Engine) RawDecode(ctx context.Context, rows, tokens, promptTokens int) (time.Duration, error) {
	if err := refusal(e.snapshot()); err != nil {
		return 0, err
	}
	l := e.roster.current()
	if l == nil {
		return 0, errors.New("the engine is being started again")
	}
	m, err := l.measure(ctx, wire.Measure{Rows: rows, Tokens: tokens, PromptTokens: promptTokens})
	if err != nil {
		return 0, err
	}
	if m.Error != "" {
		return 0, errors.New("the raw loop: " + m.Error)
	}
	return time.Duration(m.Seconds * float64(time.Second)), nil
}

// measure asks for one round and waits for its end.
func (l *link) measure(ctx context.Context, m wire.Measure) (wire.Measured, error) {
	m.ID = time.Now().Format(time.RFC3339Nano)
	frame, err := wire.Append(nil, wire.KindMeasure, m)
	if err != nil {
		return wire.Measured{}, err
	}
	done := make(chan wire.Measured, 1)
	l.mu.Lock()
	l.measured[m.ID] = done
	l.mu.Unlock()
	l.send(frame)
	select {
	case answer := <-done:
		return answer, nil
	case <-l.gone:
		return wire.Measured{}, errors.New("the engine died while it measured")
	case <-ctx.Done():
		return wire.Measured{}, ctx.Err()
	}
}
