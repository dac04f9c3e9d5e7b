package engine

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"samovar/engine/infer"
)

// remember takes note of the agents of a member that is about to be unloaded.
func (f *Fleet) remember(ctx context.Context, m *member) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	agents, err := m.Agents(ctx)
	if err != nil {
		return
	}
	for i := range agents {
		a := &agents[i]
		a.HotTokens = 0
		if a.Tier == infer.TierHot { // it is saved on the way out
			a.Tier, a.WarmTokens = infer.TierWarm, a.Tokens
		}
	}
	f.mu.Lock()
	m.agents = agents
	f.mu.Unlock()
}

// loaded says whether a member can be asked.
func (m *member) loaded() bool { return m.snapshot().State == infer.StateReady }

// away says whether what is known of a member's agents is what is remembered.
func (m *member) away() bool {
	s := m.snapshot().State
	return s == infer.StateUnloaded || s == infer.StateDraining
}

// Agents lists those of all models, the last used first. Those of a model that is not
// loaded are as they were when it was.
func (f *Fleet) Agents(ctx context.Context) ([]infer.Agent, error) {
	var all []infer.Agent
	var first error // of one that could not say
	for _, m := range f.members() {
		agents, err := f.agentsOf(ctx, m)
		first = cmp.Or(first, err)
		for i := range agents {
			agents[i].Model = m.id
		}
		all = append(all, agents...)
	}
	slices.SortStableFunc(all, func(a, b infer.Agent) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.ID, b.ID))
	})
	if len(all) == 0 && first != nil {
		return nil, first
	}
	return all, nil
}

func (f *Fleet) agentsOf(ctx context.Context, m *member) ([]infer.Agent, error) {
	if m.away() {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Clone(m.agents), nil
	}
	return m.Agents(ctx)
}

// Agent returns one, of whichever model.
func (f *Fleet) Agent(ctx context.Context, id string) (infer.Agent, error) {
	return ofAgent(ctx, f, id, func(m *member) (infer.Agent, error) {
		if a, ok := f.remembered(m, id); ok {
			return a, nil
		}
		a, err := m.Agent(ctx, id)
		a.Model = m.id
		return a, err
	})
}

// remembered returns an agent of a model that is not loaded.
func (f *Fleet) remembered(m *member, id string) (infer.Agent, bool) {
	if !m.away() {
		return infer.Agent{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(m.agents, func(a infer.Agent) bool { return a.ID == id }); i >= 0 {
		return m.agents[i], true
	}
	return infer.Agent{}, false
}

// ofAgent does something with the model that knows an agent: the default one first. One
// that is not loaded, and knew it, is.
func ofAgent[T any](ctx context.Context, f *Fleet, id string, do func(*member) (T, error)) (T, error) {
	members := f.members()
	var first error
	var none T
	for _, m := range members {
		if _, ok := f.remembered(m, id); !ok && m.snapshot().State == infer.StateUnloaded {
			continue
		}
		v, err := do(m)
		if err == nil {
			return v, nil
		}
		switch infer.CodeOf(err) {
		case infer.CodeNotFound, infer.CodeStarting, infer.CodeStopped, infer.CodeFailed, infer.CodeWorkerLost:
			first = cmp.Or(first, err) // another one may know it
		default:
			return none, err
		}
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
		if a, ok := f.remembered(m, id); ok {
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

// Savings returns the ledgers of the loaded models as one.
func (f *Fleet) Savings(ctx context.Context) (infer.Savings, error) {
	var sum infer.Savings
	var first error
	asked := 0
	for _, m := range f.members() {
		if !m.loaded() {
			continue
		}
		s, err := m.Savings(ctx)
		if err != nil {
			first = errors.Join(first, err)
			continue
		}
		asked++
		sum = sum.Plus(s)
	}
	if asked == 0 && first == nil { // as the default one says
		return f.members()[0].Savings(ctx)
	}
	return sum, first
}
