package worker

import (
	"errors"
	"fmt"
	"slices"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// idleOf returns the sequences that an agent has in the pool, none of which computes.
func (l *loop) idleOf(e agents.Entry) (seqs []int, failed *infer.Error) {
	busy := false
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if s.Agent == e.ID {
			seqs = append(seqs, seq)
			busy = busy || s.Active
		}
	})
	if busy {
		return nil, beingAnswered(e.ID)
	}
	return seqs, nil
}

func beingAnswered(id string) *infer.Error {
	return &infer.Error{Code: infer.CodeConflict, Message: fmt.Sprintf("The agent %q is being answered.", id), Hint: "Try again when it is done."}
}

// evictAgent lets an agent's sequences leave the pool, saved.
func (l *loop) evictAgent(e agents.Entry) *infer.Error {
	seqs, failed := l.idleOf(e)
	if failed == nil {
		l.evict(seqs)
	}
	return failed
}

// forgetAgent forgets an agent, its conversation and what else of it is in the pool, but
// for what others have, too.
func (l *loop) forgetAgent(q wire.Query, e agents.Entry) {
	seqs, failed := l.idleOf(e)
	if failed == nil && slices.ContainsFunc(l.waiting, func(j *job) bool { return j.agent == e.ID }) {
		failed = beingAnswered(e.ID)
	}
	if failed != nil {
		l.answer(q, nil, failed)
		return
	}
	gone := [][]llama.Token{e.Conversation}
	for _, seq := range seqs {
		gone = append(gone, slices.Clone(l.pool.Sequence(seq).Tokens))
	}
	l.agents.Forget(e.ID)
	l.openings.forget() // nothing says whose they are
	others, keep := l.conversations(seqs), *l.keep
	f := infer.Forgotten{ID: e.ID, Cells: l.pool.Used()}
	l.drop(seqs, others)
	f.Cells -= l.pool.Used()
	if e.Pinned {
		l.pinAgent(e, false)
	}
	go l.answerWith(q, func() (any, error) {
		var errs error
		for _, tokens := range gone {
			bytes, err := keep.forget(tokens, others)
			f.Bytes, errs = f.Bytes+bytes, errors.Join(errs, err)
		}
		return f, errs
	})
}

// drop empties idle sequences. Unlike evict it saves only what others need of them.
func (l *loop) drop(seqs []int, others [][]llama.Token) {
	for _, seq := range seqs {
		tokens, shared := l.pool.Sequence(seq).Tokens, 0
		for _, o := range others {
			shared = max(shared, kv.CommonPrefix(o, tokens))
		}
		if !l.sizes.whole || shared == len(tokens) {
			l.keep.cut(seq, shared)
			l.broken = errors.Join(l.broken, l.keep.tail(seq, tokens[:shared]))
		}
		delete(l.keep.trails, seq)
		if l.broken = errors.Join(l.broken, l.backend.Remove(seq)); l.broken != nil {
			return
		}
		l.pool.Evict(seq)
	}
}

// conversations returns all that somebody may come back to: those of agents, what is in
// the pool but for some sequences, and the prompts on their way there.
func (l *loop) conversations(without []int) [][]llama.Token {
	var all [][]llama.Token
	for _, e := range l.agents.List() {
		all = append(all, e.Conversation)
	}
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if !slices.Contains(without, seq) {
			all = append(all, slices.Clone(s.Tokens))
		}
	})
	for _, s := range l.active {
		all = append(all, s.tokens)
	}
	for _, j := range l.waiting {
		all = append(all, j.tokens)
	}
	return all
}

// forget deletes what is kept of a conversation, but for what others need. It returns
// how many bytes that frees.
func (k *keeper) forget(tokens []llama.Token, others [][]llama.Token) (int64, error) {
	if !k.on() || len(tokens) == 0 {
		return 0, nil
	}
	shared := 0
	for _, o := range others {
		n := kv.CommonPrefix(o, tokens)
		if n == 0 {
			continue
		}
		shared = max(shared, n)
		// It may end within a file of this one, which has taken the place of its own.
		m, _ := k.kept(o)
		if last := len(m) - 1; last >= 0 && m[last].From+m[last].Use <= n {
			shared = max(shared, m[last].From+m[last].Tokens)
		}
	}
	return k.store.Forget(k.root, tokens, shared)
}

// saveTailsOf keeps an agent's conversation to its ragged end, whoever's sequence it is in.
func (l *loop) saveTailsOf(e agents.Entry) {
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		common := kv.CommonPrefix(s.Tokens, e.Conversation)
		if common > 0 && common == min(len(s.Tokens), len(e.Conversation)) && !s.Active && l.broken == nil {
			l.broken = l.keep.tail(seq, s.Tokens)
		}
	})
}
