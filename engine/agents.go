package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// Agents lists who comes back, the last used first. Errors of this method and of the
// following ones are *infer.Error, or ctx's.
func (e *Engine) Agents(ctx context.Context) ([]infer.Agent, error) {
	return query[[]infer.Agent](ctx, e, wire.Query{Op: wire.OpAgents})
}

// Agent returns one.
func (e *Engine) Agent(ctx context.Context, id string) (infer.Agent, error) {
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpAgent, Agent: id})
}

// CreateAgent makes one that has not said anything yet.
func (e *Engine) CreateAgent(ctx context.Context, id, tool string) (infer.Agent, error) {
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpCreate, Agent: id, Tool: tool})
}

// ForkAgent makes another one with the same conversation, which shares its KV.
func (e *Engine) ForkAgent(ctx context.Context, id, to string) (infer.Agent, error) {
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpFork, Agent: id, To: to})
}

// PinAgent keeps an agent's KV on disk whatever others need, or lets go of it.
func (e *Engine) PinAgent(ctx context.Context, id string, pinned bool) (infer.Agent, error) {
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpPin, Agent: id, On: pinned})
}

// EvictAgent lets an agent leave the pool; it stays on disk.
func (e *Engine) EvictAgent(ctx context.Context, id string) (infer.Agent, error) {
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpEvict, Agent: id})
}

// ForgetAgent forgets an agent and its KV, but for what others share.
func (e *Engine) ForgetAgent(ctx context.Context, id string) (infer.Forgotten, error) {
	return query[infer.Forgotten](ctx, e, wire.Query{Op: wire.OpForget, Agent: id})
}

// Saving has KV saved from now on, or not: for a bench, which measures what it costs.
func (e *Engine) Saving(ctx context.Context, on bool) error {
	_, err := query[struct{}](ctx, e, wire.Query{Op: wire.OpSaving, On: on})
	return err
}

// Savings returns the ledger of what keeping has spared.
func (e *Engine) Savings(ctx context.Context) (infer.Savings, error) {
	return query[infer.Savings](ctx, e, wire.Query{Op: wire.OpSavings})
}

// ExportAgent opens an agent and its KV as one file, which is gone when it is closed.
func (e *Engine) ExportAgent(ctx context.Context, id string) (io.ReadCloser, error) {
	f, err := e.transferFile()
	if err != nil {
		return nil, err
	}
	if _, err := query[struct{}](ctx, e, wire.Query{Op: wire.OpExport, Agent: id, Path: f.Name()}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ImportAgent takes in what ExportAgent gave, as an agent called to, or as it was called.
func (e *Engine) ImportAgent(ctx context.Context, r io.Reader, to string) (a infer.Agent, err error) {
	f, err := e.transferFile()
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return a, err
	}
	return query[infer.Agent](ctx, e, wire.Query{Op: wire.OpImport, To: to, Path: f.Name()})
}

// transferFile makes a file that the worker can reach: KV does not go through its pipe.
// Closing deletes it.
func (e *Engine) transferFile() (*transfer, error) {
	if err := os.MkdirAll(e.cfg.StateDir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(e.cfg.StateDir, "agent-*.tar")
	if err != nil {
		return nil, err
	}
	return &transfer{f}, nil
}

type transfer struct{ *os.File }

func (t *transfer) Close() error { return errors.Join(t.File.Close(), os.Remove(t.Name())) }

// query hands a query to the worker and waits for its answer.
func query[T any](ctx context.Context, e *Engine, q wire.Query) (v T, err error) {
	if err := refusal(e.snapshot()); err != nil {
		return v, err
	}
	l := e.roster.current()
	if l == nil {
		return v, &infer.Error{Code: infer.CodeStarting, Message: "The engine is being started again.", Hint: "Try again in a moment."}
	}
	q.ID = strconv.FormatUint(e.queries.Add(1), 10)
	frame, err := wire.Append(nil, wire.KindQuery, q)
	if err != nil {
		return v, err
	}
	done := make(chan wire.Answer, 1)
	l.mu.Lock()
	l.asked[q.ID] = done
	l.mu.Unlock()
	select {
	case l.out <- frame:
	case <-l.gone:
	case <-ctx.Done():
	}
	select {
	case a := <-done:
		if a.Error != nil {
			return v, a.Error
		}
		if len(a.Body) == 0 {
			return v, nil
		}
		return v, json.Unmarshal(a.Body, &v)
	case <-l.gone:
		return v, &infer.Error{Code: infer.CodeWorkerLost, Message: "The engine died meanwhile.", Hint: "Try again."}
	case <-ctx.Done():
		l.mu.Lock()
		delete(l.asked, q.ID)
		l.mu.Unlock()
		return v, ctx.Err()
	}
}
