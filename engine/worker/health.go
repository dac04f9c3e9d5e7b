package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// A graphics processor that was reset, or memory that has gone bad, gives logits as
// before, only that they are nonsense. The canary tells: a few tokens whose logits are
// known from when the worker started. It is computed again when somebody asks, and when
// answers in a row make no sense. A worker whose canary comes out wrong, or whose logits
// are not numbers, ends; its parent starts another, where the requests go on.

const (
	// canaryTokens is how long the canary is: a small step.
	canaryTokens = 8
	// maxCanaryDeviation is how far its logits may be off. They move by 0.01 sd with the
	// cells that they get (ENGINE.md §1), and a false alarm costs all a pause, so it is as
	// much as for restored state; nonsense is several away.
	maxCanaryDeviation = maxDeviation
	// minSpread is the least standard deviation of logits that say anything.
	minSpread = 1e-6
	// repetitive is from how many tokens on an answer of one and the same is suspicious.
	repetitive = 16
	// suspiciousAnswers in a row have the canary computed.
	suspiciousAnswers = 3
	// rejectFor is how long a worker that ends waits for the store's writer.
	rejectFor = time.Second
)

var errCanary = errors.New("the canary came out wrong")

// health is what the loop knows of whether it computes right.
type health struct {
	infer.Health
	// want is the canary's digest; nil if there is no canary.
	want []blockfile.Logit
	// asked are those who want the canary computed; due says that the loop does.
	asked []wire.Query
	due   bool
	// suspects are the suspicious answers in a row. dropped says that what they reused
	// was dropped, which has not helped so far.
	suspects []suspect
	dropped  bool
}

// suspect is a suspicious answer: what its sequence held, and how many tokens of its
// prompt were reused.
type suspect struct {
	held   []llama.Token
	reused int
}

func (h *health) pending() bool { return h.due || len(h.asked) > 0 }

// firstCanary computes the canary for the first time, in an empty pool, before anybody
// is served. It says why nobody can be.
func (l *loop) firstCanary() *wire.Failed {
	if len(l.probe) < canaryTokens {
		return nil
	}
	logits, ok, err := l.canary()
	switch {
	case err != nil:
	case !ok:
		return nil
	case !finite(logits):
		err = llama.ErrLogits
	case spread(logits) < minSpread:
		err = errors.New("all tokens are equally likely")
	}
	if err != nil {
		return &wire.Failed{Reason: "The engine computes nonsense: " + err.Error() + ".",
			Hint: "Restart the machine if this model has worked before; else its file may be damaged: remove it and get it again."}
	}
	l.health.want = digest(logits)
	l.health.Canaries++
	return nil
}

// canary computes the canary on a sequence of its own. ok is false if there is no room
// for it now.
func (l *loop) canary() (logits []float32, ok bool, err error) {
	tokens := l.probe[:canaryTokens]
	victims, ok := l.pool.PlanEviction(len(tokens), true, kv.NoSequence)
	if !ok {
		return nil, false, nil
	}
	if l.evict(victims); l.broken != nil {
		return nil, false, l.broken
	}
	seq, ok := l.pool.Open("", time.Now())
	if !ok {
		return nil, false, nil
	}
	defer l.pool.Remove(seq)
	if logits, err = evaluate(l.backend, l.sizes.steps.MaxRows, seq, 0, tokens); err != nil {
		return nil, true, err
	}
	l.pool.Restore(seq, tokens, nil) // where llama.cpp has put them
	return logits, true, l.backend.Remove(seq)
}

// checkHealth computes the canary if it is to be, as soon as there is room for it.
func (l *loop) checkHealth() {
	h := &l.health
	if !h.pending() || l.broken != nil {
		return
	}
	start := time.Now()
	c, err := infer.Canary{}, errors.New("this model has no canary")
	if h.want != nil {
		var logits []float32
		var ok bool
		if logits, ok, err = l.canary(); err == nil && !ok {
			if len(l.active)+len(l.echoes) > 0 {
				return // until one of them ends
			}
			err = fmt.Errorf("there is no room for the canary: %w", llama.ErrPoolFull)
		}
		if err == nil {
			c = infer.Canary{Deviation: deviation(logits, h.want), Took: time.Since(start)}
			err = canaryFault(c, logits)
		}
	}
	due := h.due
	h.due = false
	switch {
	case err == nil:
		h.Canaries++
		l.keep.recent = nil
		if due {
			l.settleSuspects()
		}
		if l.verify {
			l.broken = errors.Join(l.broken, l.compare())
		}
	case errors.Is(err, errCanary):
		l.broken = err
		l.rejectRecent(err)
	case errors.Is(err, llama.ErrCompute):
		l.broken = err
	}
	for _, q := range h.asked {
		l.answerWith(q, func() (any, error) { return c, err })
	}
	h.asked = nil
}

// canaryFault says what is wrong with a canary.
func canaryFault(c infer.Canary, logits []float32) error {
	if !finite(logits) {
		return fmt.Errorf("%w: %w", errCanary, llama.ErrLogits)
	}
	if c.Deviation > maxCanaryDeviation {
		return fmt.Errorf("%w: %.1f standard deviations off", errCanary, c.Deviation)
	}
	return nil
}

// rejectRecent puts aside what was saved since the engine was last seen to be right.
func (l *loop) rejectRecent(why error) {
	if !l.keep.on() {
		return
	}
	l.keep.store.Reject(l.keep.recent, why)
	l.keep.recent = nil
	ctx, cancel := context.WithTimeout(context.Background(), rejectFor)
	defer cancel()
	_ = l.keep.store.Flush(ctx) // one of them may be being written
}

// judge takes note of how an answer has come out; ended says that it was whole.
func (l *loop) judge(s *sequence, ended bool) {
	h := &l.health
	switch {
	case s.repeated == s.completed && s.completed >= repetitive:
		l.suspect(s)
	case s.repeated < s.completed || ended && s.completed > 0:
		h.suspects, h.due, h.dropped, h.Warning = nil, false, false, ""
	}
}

// suspect takes note of an answer that makes no sense.
func (l *loop) suspect(s *sequence) {
	h := &l.health
	h.Suspicious++
	h.suspects = append(h.suspects, suspect{slices.Clone(l.pool.Sequence(s.seq).Tokens), s.promptTokens() - s.prefilled})
	h.due = len(h.suspects) >= suspiciousAnswers
}

// settleSuspects is for suspicious answers of an engine that computes right: the KV that
// they reused may be wrong, and is dropped, but only once.
func (l *loop) settleSuspects() {
	h := &l.health
	suspects := h.suspects
	h.suspects = nil
	sequences, files, reused := 0, 0, false
	for _, s := range suspects {
		if h.dropped || s.reused <= 0 {
			continue
		}
		reused = true
		n, m := l.dropReused(s.held, s.reused, errors.New("answers behind it make no sense"))
		sequences, files = sequences+n, files+m
	}
	h.Warning = fmt.Sprintf("The last %d answers were empty, or one token again and again, though the engine computes right. ", len(suspects))
	switch {
	case reused:
		h.dropped = true
		h.Discarded++
		h.Warning += "What they had reused was dropped and is computed again."
	case h.dropped:
		h.Warning += "To drop what such answers had reused did not help: it may be the model, or its chat template."
	default:
		h.Warning += "They had reused nothing: it may be the model, or its chat template."
	}
	l.keep.log.Warn("answers make no sense, though the canary came out right", "answers", len(suspects), "sequences_dropped", sequences, "files_dropped", files)
}

// dropReused drops KV that is doubted: the idle sequences that have more than a little
// of what was reused of a sequence's tokens, and what is kept of these on disk.
func (l *loop) dropReused(tokens []llama.Token, reused int, why error) (sequences, files int) {
	var seqs []int
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if !s.Active && kv.CommonPrefix(s.Tokens, tokens) >= min(reused, minRestored) {
			seqs = append(seqs, seq)
		}
	})
	l.drop(seqs, nil)
	l.openings.forget()
	return len(seqs), l.distrust(tokens, why)
}

// distrust puts aside what is kept of tokens on disk, and returns how many files: also
// one of others that goes on otherwise, if it would be used.
func (l *loop) distrust(tokens []llama.Token, why error) (files int) {
	k := l.keep
	if !k.on() {
		return 0
	}
	for k.whole {
		_, at, ok := k.store.Checkpoint(k.root, tokens, !k.stateOnly)
		if !ok {
			break
		}
		k.store.Reject([]blockfile.ID{at.ID}, why)
		files++
	}
	m := slices.DeleteFunc(k.store.Longest(k.root, tokens), func(p store.Piece) bool { return p.Use < min(p.Tokens, minRestored) })
	k.store.Reject(idsOf(m), why)
	return files + len(m)
}

// checkLogits looks whether the logits of a step are numbers, before anything is made of
// them. If some are not, nothing in the pool can be trusted: on some processors a cell
// that holds no numbers spoils the rows that do not attend to it, too. What such a
// sequence had from disk is not used again, unless it is the same with all others.
func (l *loop) checkLogits(sampled []output) error {
	spoiled := map[*sequence]bool{}
	look := func(outputs []output, sound func([]float32) bool) error {
		for _, o := range outputs {
			logits, err := l.backend.Logits(o.row)
			if err != nil {
				return err
			}
			spoiled[o.s] = spoiled[o.s] || !sound(logits)
		}
		return nil
	}
	some := func(logits []float32) bool { return llama.CheckLogits(logits) == nil }
	if err := errors.Join(look(sampled, some), look(l.notes, finite), look(l.proofs, finite), look(l.doubts, finite)); err != nil {
		return err
	}
	bad := 0
	for _, b := range spoiled {
		if b {
			bad++
		}
	}
	for s, b := range spoiled {
		if b && s.returned && (bad == 1 || bad < len(spoiled)) {
			l.distrust(l.pool.Sequence(s.seq).Tokens, llama.ErrLogits)
		}
	}
	echoes, err := l.spoiledEchoes()
	if err == nil && bad+echoes > 0 {
		err = fmt.Errorf("%w: those of %d of %d sequences in a step", llama.ErrLogits, bad+echoes, len(spoiled)+l.echoed)
	}
	return err
}

// spoiledEchoes counts the echoes whose logits are not numbers. Nothing else vouches for
// the blocks before their checkpoints.
func (l *loop) spoiledEchoes() (n int, err error) {
	for i, e := range l.echoes[:l.echoed] {
		logits, err := l.backend.Logits(l.echoRow + i)
		if err != nil {
			return n, err
		}
		if !finite(logits) {
			n++
			l.distrust(l.pool.Sequence(e.seq).Tokens, llama.ErrLogits)
		}
	}
	return n, nil
}

// finite says whether all logits are numbers.
func finite(logits []float32) bool {
	var zero float32
	for _, v := range logits {
		zero += v * 0 // NaN if v is not finite
	}
	return zero == 0
}
