package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// settle tells the registry how a request ended, and the request why it reused less
// than it could. held is what its sequence holds.
func (l *loop) settle(s *sequence, held []llama.Token, e *infer.End) {
	if l.agents == nil {
		return
	}
	e.Agent = s.claim.Agent
	before, _ := l.agents.Get(s.claim.Agent)
	e.Miss = l.agents.Settle(s.claim, agents.Result{
		Tokens: held, Prompt: e.Usage.PromptTokens, Cached: e.Usage.CachedTokens, PrefillRow: l.meter.Cost().PrefillRow, Whole: l.sizes.whole,
	})
	if !before.Pinned {
		return
	}
	if kv.CommonPrefix(before.Conversation, held) < len(before.Conversation) {
		l.keep.pin(before.Conversation, false)
		l.pinAll() // what it shares with others
		return
	}
	l.keep.pin(held, true)
}

// wrote tells the registry that something of a sequence is being written.
func (l *loop) wrote(seq int, id blockfile.ID, bytes int) {
	s := l.pool.Sequence(seq)
	if l.agents == nil || s == nil {
		return
	}
	l.agents.Wrote(s.Agent, int64(bytes))
	// What is not of its conversation, or not yet, is not kept for ever.
	if e, ok := l.agents.Get(s.Agent); ok && e.Pinned && kv.CommonPrefix(e.Conversation, s.Tokens) == len(s.Tokens) {
		l.keep.store.Pin(id, true)
	}
}

// kept returns the pieces of what is kept of a conversation: only those that it needs.
func (k *keeper) kept(tokens []llama.Token) (store.Match, int) {
	if !k.on() || len(tokens) == 0 {
		return nil, 0
	}
	if k.whole {
		blocks, at, ok := k.store.Checkpoint(k.root, tokens, !k.stateOnly)
		if !ok {
			return nil, 0
		}
		if k.stateOnly {
			blocks = nil
		}
		return append(blocks, at), at.From + at.Use
	}
	m := k.store.Longest(k.root, tokens)
	return m, m.Tokens()
}

// own is what is kept of a conversation, without what only begins as it does.
func (k *keeper) own(tokens []llama.Token) store.Match {
	m, _ := k.kept(tokens)
	if last := len(m) - 1; last >= 0 && m[last].Use < m[last].Tokens {
		return m[:last]
	}
	return m
}

// pin keeps what is kept of a conversation, or lets go of it.
func (k *keeper) pin(tokens []llama.Token, pinned bool) {
	if m := k.own(tokens); len(m) > 0 {
		k.store.Pin(m[len(m)-1].ID, pinned)
	}
}

// query answers a query. What needs the pool is done at once, what waits for the disk
// beside the loop.
func (l *loop) query(q wire.Query) {
	if q.Op == wire.OpCanary {
		l.health.asked = append(l.health.asked, q)
		return
	}
	if l.agents == nil {
		l.answer(q, nil, &infer.Error{Code: infer.CodeInternal, Message: "This engine does not know agents."})
		return
	}
	e, known := l.agents.Get(q.Agent)
	if named := q.Op != wire.OpAgents && q.Op != wire.OpSaving && q.Op != wire.OpSavings && q.Op != wire.OpCreate && q.Op != wire.OpImport; named && !known {
		l.answer(q, nil, noAgent(q.Agent))
		return
	}
	switch q.Op {
	case wire.OpAgents:
		l.describe(q, l.agents.List(), true)
	case wire.OpAgent:
		l.describe(q, []agents.Entry{e}, false)
	case wire.OpSaving:
		l.keep.paused = !q.On
		l.answer(q, nil, nil)
	case wire.OpSavings:
		l.answer(q, l.agents.Savings(), nil)
	case wire.OpCreate:
		l.create(q, q.Agent, nil, true)
	case wire.OpFork:
		q.Tool = e.Tool
		l.create(q, q.To, e.Conversation, e.Plain)
	case wire.OpPin:
		l.pinAgent(e, q.On)
		l.describeOne(q, q.Agent)
	case wire.OpEvict:
		if err := l.evictAgent(e); err != nil {
			l.answer(q, nil, err)
			return
		}
		l.describeOne(q, q.Agent)
	case wire.OpForget:
		l.forgetAgent(q, e)
	case wire.OpExport:
		l.saveTailsOf(e)
		keep := *l.keep
		go l.answerWith(q, func() (any, error) { return nil, keep.export(e, q.Path) })
	case wire.OpImport:
		keep := *l.keep
		go l.importAgent(q, &keep)
	default:
		l.answer(q, nil, &infer.Error{Code: infer.CodeInternal, Message: fmt.Sprintf("The engine cannot %q.", q.Op)})
	}
}

func noAgent(id string) *infer.Error {
	return &infer.Error{Code: infer.CodeNotFound, Param: "id", Message: fmt.Sprintf("There is no agent %q.", id),
		Hint: "GET /v1/agents lists those that there are."}
}

func (l *loop) create(q wire.Query, id string, conversation []llama.Token, plain bool) {
	if !l.agents.Create(id, q.Tool, conversation, plain) {
		l.answer(q, nil, &infer.Error{Code: infer.CodeConflict, Param: "id", Message: fmt.Sprintf("There is an agent %q already.", id),
			Hint: "Take another name."})
		return
	}
	l.describeOne(q, id)
}

func (l *loop) describeOne(q wire.Query, id string) {
	e, ok := l.agents.Get(id)
	if !ok {
		l.answer(q, nil, noAgent(id))
		return
	}
	l.describe(q, []agents.Entry{e}, false)
}

// describe adds to what the registry knows of agents where their conversations are.
func (l *loop) describe(q wire.Query, entries []agents.Entry, list bool) {
	for i, e := range entries {
		entries[i].HotTokens = l.pool.Lookup(e.Conversation, len(e.Conversation), l.sizes.whole).Tokens
	}
	cost, prices := l.meter.Cost(), l.prices()
	back := prices.Return
	if l.keep.restored > 0 {
		back = l.keep.restoring / time.Duration(l.keep.restored)
	}
	keep, whole := *l.keep, l.sizes.whole
	if cost.PrefillRow == 0 {
		cost.PrefillRow = assumedRow
	}
	go func() { // ids of long conversations take a while
		out := make([]infer.Agent, len(entries))
		for i, e := range entries {
			a := e.Agent
			pieces, n := keep.kept(e.Conversation)
			a.WarmTokens = n
			for _, p := range pieces {
				a.Bytes += keep.store.FileBytes(p.ID)
			}
			if whole && a.HotTokens < a.WarmTokens {
				a.HotTokens = 0 // it cannot be gone on from
			}
			have := max(a.HotTokens, a.WarmTokens)
			switch {
			case a.HotTokens > 0 && a.HotTokens >= a.Tokens-minRestored:
				a.Tier = infer.TierHot
			case have > 0:
				a.Tier = infer.TierWarm
			default:
				a.Tier = infer.TierCold
			}
			a.Resume = cost.Decode + time.Duration(a.Tokens-have)*cost.PrefillRow + time.Duration(have-a.HotTokens)*back
			out[i] = a
		}
		if list {
			l.answer(q, out, nil)
			return
		}
		l.answer(q, out[0], nil)
	}()
}

// pinAgent keeps an agent's conversation on disk, or lets go of it but for what other
// pinned ones share.
func (l *loop) pinAgent(e agents.Entry, pinned bool) {
	if pinned {
		l.saveTailsOf(e)
	}
	l.agents.Pin(e.ID, pinned)
	l.keep.pin(e.Conversation, pinned)
	if !pinned {
		l.pinAll()
	}
}

// pinAll keeps what all pinned agents have: one of them may have let go of what others
// share with it.
func (l *loop) pinAll() {
	for _, o := range l.agents.List() {
		if o.Pinned {
			l.keep.pin(o.Conversation, true)
		}
	}
}

func (l *loop) answerWith(q wire.Query, do func() (any, error)) {
	v, err := do()
	var failed *infer.Error
	if err != nil && !errors.As(err, &failed) {
		failed = &infer.Error{Code: infer.CodeInternal, Message: sentence(err)}
	}
	l.answer(q, v, failed)
}

// answer may be called from any goroutine.
func (l *loop) answer(q wire.Query, v any, failed *infer.Error) {
	a := wire.Answer{ID: q.ID, Error: failed}
	if failed == nil && v != nil {
		body, err := json.Marshal(v)
		if err != nil {
			failed = &infer.Error{Code: infer.CodeInternal, Message: sentence(err)}
			a.Error = failed
		}
		a.Body = body
	}
	l.send(wire.KindAnswer, a)
	l.flush()
}
