package engine

import (
	"context"
	"errors"
	"time"

	"samovar/engine/internal/fit"
	"samovar/engine/models"
)

// reserve waits until there is room for the model, and holds it until the run ends.
func (e *Engine) reserve(ctx context.Context) error {
	if e.cfg.Room == nil {
		return nil
	}
	asked := time.Now()
	granted, err := e.cfg.Room(ctx, e.needs)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{reason: sentence(err), err: err}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reserved, e.granted = true, granted
	e.status.Bytes, e.status.RoomTime = granted, time.Since(asked)
	return nil
}

// allowed is what the next worker may take; 0 is what there is.
func (e *Engine) allowed() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.granted
}

// needs implements Need: the model's size with as large a context as it can have.
func (e *Engine) needs(most int64) (int64, error) {
	c := e.config()
	facts, err := models.Inspect(e.path)
	if err != nil {
		return 0, nil // the worker will say what is wrong with the file
	}
	got, err := fit.Choose(facts, fit.Wish{ContextTokens: c.ContextTokens, KVType: c.KVType, KVBytes: c.KVBytes}, most)
	var tooMuch *models.MemoryError
	if errors.As(err, &tooMuch) {
		return 0, err
	} else if err != nil {
		return 0, nil // likewise
	}
	return got.Bytes + min(c.Keep.Memory, most-got.Bytes), nil
}
