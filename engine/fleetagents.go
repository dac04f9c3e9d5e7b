package engine

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/engine/infer"
)

// said is what a member's workers last said about something: it holds while there is none
// to ask, be the model unloaded, stopped, or on its way back.
type said[T any] struct {
	mu    sync.Mutex
	last  T
	known bool
}

// by asks a member's worker. as is what the answer has become once that worker has left.
func (s *said[T]) by(m *member, ask func() (T, error), as func(T) T) (T, error) {
	err := m.silence()
	if err == nil {
		var v T
		if v, err = ask(); err == nil {
			s.mu.Lock()
			s.last, s.known = as(v), true
			s.mu.Unlock()
			return v, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && noWorker(err) {
		return s.last, nil
	}
	var none T
	return none, err
}

// silence is why a member has no worker to ask, or nil.
func (m *member) silence() error {
	s := m.snapshot()
	if s.State == infer.StateReady {
		return nil
	}
	if err := refusal(s); err != nil {
		return err
	}
	return &infer.Error{Code: infer.CodeStarting, RetryAfter: time.Second, Message: "The model is not loaded.", Hint: "A request to it loads it."}
}

// noWorker says whether there was nobody to ask: another one may know.
func noWorker(err error) bool {
	switch infer.CodeOf(err) {
	case infer.CodeStarting, infer.CodeStopped, infer.CodeFailed, infer.CodeWorkerLost:
		return true
	}
	return false
}

// remember has a member whose worker is about to leave say what is to be known of it then.
func (f *Fleet) remember(ctx context.Context, m *member) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	// What cannot be had now stays as it was said before.
	if _, err := m.listed(ctx); err == nil {
		_, _ = m.savings(ctx)
	}
}

// Agents lists those of all models, the last used first. Those of a model that has no
// worker are as they were when it had one.
func (f *Fleet) Agents(ctx context.Context) ([]infer.Agent, error) {
	var all []infer.Agent
	var first error // of one that could not say
	told := false
	for _, m := range f.members() {
		agents, err := m.listed(ctx)
		told = told || err == nil
		if m.snapshot().State != infer.StateUnloaded { // one that was never loaded says nothing
			first = cmp.Or(first, err)
		}
		all = append(all, agents...)
	}
	if !told && first != nil {
		return nil, first
	}
	slices.SortStableFunc(all, func(a, b infer.Agent) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// listed returns a member's agents.
func (m *member) listed(ctx context.Context) ([]infer.Agent, error) {
	return m.agents.by(m, func() ([]infer.Agent, error) {
		all, err := m.Agents(ctx)
		for i := range all {
			all[i].Model = m.id
		}
		return all, err
	}, func(all []infer.Agent) []infer.Agent {
		all = slices.Clone(all)
		for i := range all {
			a := &all[i]
			a.HotTokens = 0
			if a.Tier == infer.TierHot { // it is saved on the way out
				a.Tier, a.WarmTokens = infer.TierWarm, a.Tokens
			}
		}
		return all
	})
}

// savings returns a member's ledger.
func (m *member) savings(ctx context.Context) (infer.Savings, error) {
	return m.saved.by(m, func() (infer.Savings, error) { return m.Savings(ctx) }, func(s infer.Savings) infer.Savings { return s })
}

// Agent returns one, of whichever model.
func (f *Fleet) Agent(ctx context.Context, id string) (infer.Agent, error) {
	return ofAgent(ctx, f, id, func(m *member) (infer.Agent, error) {
		if a, ok := m.remembered(id); ok {
			return a, nil
		}
		a, err := m.Agent(ctx, id)
		a.Model = m.id
		return a, err
	})
}

// remembered returns an agent of a model that has no worker to ask.
func (m *member) remembered(id string) (infer.Agent, bool) {
	if m.silence() == nil {
		return infer.Agent{}, false
	}
	m.agents.mu.Lock()
	defer m.agents.mu.Unlock()
	i := slices.IndexFunc(m.agents.last, func(a infer.Agent) bool { return a.ID == id })
	if i < 0 {
		return infer.Agent{}, false
	}
	return m.agents.last[i], true
}

// ofAgent does something with the model that knows an agent: the default one first. One
// that is not loaded, and knew it, is.
func ofAgent[T any](ctx context.Context, f *Fleet, id string, do func(*member) (T, error)) (T, error) {
	members := f.members()
	var first error
	var none T
	for _, m := range members {
		if _, ok := m.remembered(id); !ok && m.snapshot().State == infer.StateUnloaded {
			continue
		}
		v, err := do(m)
		if err == nil {
			return v, nil
		}
		if infer.CodeOf(err) != infer.CodeNotFound && !noWorker(err) {
			return none, err
		}
		first = cmp.Or(first, err) // another one may know it
	}
	if first == nil { // none is loaded, and none knows it
		first = &infer.Error{Code: infer.CodeNotFound, Message: "There is no such agent.", Hint: "GET /v1/agents lists those there are."}
	}
	return none, first
}

// awake has a member loaded, and waits for it.
func (m *member) awake(ctx context.Context) error {
	m.Wake("One of its agents was asked for.")
	return m.settle(ctx)
}

// CreateAgent makes one of the default model.
func (f *Fleet) CreateAgent(ctx context.Context, id, tool string) (infer.Agent, error) {
	m := f.members()[0]
	if err := m.awake(ctx); err != nil {
		return infer.Agent{}, err
	}
	return m.CreateAgent(ctx, id, tool)
}

// ForkAgent makes another one with the same conversation, which shares its KV.
func (f *Fleet) ForkAgent(ctx context.Context, id, to string) (infer.Agent, error) {
	return f.withAgent(ctx, id, func(m *member) (infer.Agent, error) { return m.ForkAgent(ctx, id, to) })
}

// PinAgent keeps an agent's KV on disk whatever others need, or lets go of it.
func (f *Fleet) PinAgent(ctx context.Context, id string, pinned bool) (infer.Agent, error) {
	return f.withAgent(ctx, id, func(m *member) (infer.Agent, error) { return m.PinAgent(ctx, id, pinned) })
}

// EvictAgent lets an agent leave the pool; it stays on disk.
func (f *Fleet) EvictAgent(ctx context.Context, id string) (infer.Agent, error) {
	return ofAgent(ctx, f, id, func(m *member) (infer.Agent, error) {
		if a, ok := m.remembered(id); ok {
			return a, nil // it has
		}
		return m.EvictAgent(ctx, id)
	})
}

func (f *Fleet) withAgent(ctx context.Context, id string, do func(*member) (infer.Agent, error)) (infer.Agent, error) {
	return ofAgent(ctx, f, id, func(m *member) (infer.Agent, error) {
		if err := m.awake(ctx); err != nil {
			return infer.Agent{}, err
		}
		return do(m)
	})
}

// ForgetAgent forgets an agent and its KV, but for what others share.
func (f *Fleet) ForgetAgent(ctx context.Context, id string) (infer.Forgotten, error) {
	return ofAgent(ctx, f, id, func(m *member) (infer.Forgotten, error) {
		if err := m.awake(ctx); err != nil {
			return infer.Forgotten{}, err
		}
		return m.ForgetAgent(ctx, id)
	})
}

// ExportAgent opens an agent and its KV as one file, which is gone when it is closed.
func (f *Fleet) ExportAgent(ctx context.Context, id string) (io.ReadCloser, error) {
	return ofAgent(ctx, f, id, func(m *member) (io.ReadCloser, error) {
		if err := m.awake(ctx); err != nil {
			return nil, err
		}
		return m.ExportAgent(ctx, id)
	})
}

// ImportAgent takes in what ExportAgent gave, as an agent of the default model.
func (f *Fleet) ImportAgent(ctx context.Context, r io.Reader, to string) (infer.Agent, error) {
	m := f.members()[0]
	if err := m.awake(ctx); err != nil {
		return infer.Agent{}, err
	}
	return m.ImportAgent(ctx, r, to)
}

// Savings returns the ledgers of all models as one. That of a model that has no worker is
// as it was when it had one; what none has told yet is an error.
func (f *Fleet) Savings(ctx context.Context) (infer.Savings, error) {
	var sum infer.Savings
	var first error
	told := false
	for _, m := range f.members() {
		s, err := m.savings(ctx)
		switch {
		case err == nil:
			told = true
			sum = sum.Plus(s)
		case noWorker(err):
			first = cmp.Or(first, err)
		default:
			return sum, err
		}
	}
	if told {
		first = nil
	}
	return sum, first
}
