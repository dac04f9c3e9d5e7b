package engine

import (
	"context"
	"errors"
	"time"

	"samovar/engine/internal/fit"
	"samovar/engine/models"
)

// reserve waits until there is room for the model with its settings, and holds it until
// the run ends or they are others.
func (e *Engine) reserve(ctx context.Context) error {
	c := e.config()
	if e.roomy(c.settings()) {
		return nil
	}
	e.release()
	asked := time.Now()
	e.asks(true)
	granted, err := e.cfg.Room(ctx, e.needs)
	e.asks(false)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{reason: sentence(err), err: err}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reserved, e.reservedFor, e.granted = true, c.settings(), granted
	e.status.Bytes, e.status.RoomTime = granted, time.Since(asked)
	return nil
}

// asks says whether the model waits for room.
func (e *Engine) asks(yes bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asking, e.squeezed = yes, ""
}

// release gives back what reserve holds.
func (e *Engine) release() {
	e.mu.Lock()
	held := e.reserved
	e.reserved, e.granted, e.status.Bytes = false, 0, 0
	e.mu.Unlock()
	if held {
		e.cfg.Leave()
	}
}

// roomy says whether room is held for a worker with those settings.
func (e *Engine) roomy(s Settings) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg.Room == nil || e.reserved && e.reservedFor == s
}

// allowed is what the next worker may take; 0 is what there is.
func (e *Engine) allowed() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reserved {
		return max(e.granted, 1) // no room at all is not the same as no limit
	}
	return 0
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
