package worker

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// sample takes the next token of s and sends what it adds to the text. An error is one
// of the engine, not of s.
func (l *loop) sample(s *sequence, row int, now time.Time) error {
	if !s.left.IsZero() { // for nobody
		l.rest(s)
		return nil
	}
	token, err := s.sampler.Sample(row)
	if err == nil && s.completed == 0 {
		var begins bool
		if token, begins, err = l.begin(s, row, token); err == nil && !begins {
			return nil
		}
	}
	if errors.Is(err, llama.ErrLogits) || errors.Is(err, llama.ErrCompute) {
		return err
	}
	if err != nil {
		l.refuse(s.ticket, infer.Error{Code: infer.CodeInternal,
			Message: fmt.Sprintf("The model's computation went wrong after %d tokens: %v.", s.completed, err)})
		l.discard(s)
		return nil
	}
	if s.first.IsZero() {
		s.evaluatedAt, s.first = now, time.Now()
		l.urgent = true
	}
	if l.vocab.IsEnd(token) {
		return l.finish(s, row, infer.FinishStop, "", s.text.Flush(), 0)
	}
	s.count(token)
	l.piece = l.vocab.Piece(l.piece[:0], token)
	text, stop, stopped := s.text.Push(l.piece)
	switch {
	case stopped:
		return l.finish(s, row, infer.FinishStopString, stop, text, 1)
	case s.completed >= s.maxTokens:
		reason := infer.FinishLength
		if s.atContext {
			reason = infer.FinishContext
		}
		return l.finish(s, row, reason, "", text+s.text.Flush(), 1)
	default:
		l.send(wire.KindOutput, wire.Output{ID: s.id, Event: infer.Event{Text: text, Tokens: 1}, Token: token})
	}
	return nil
}

// finish ends an answer whose last token was sampled from a row.
func (l *loop) finish(s *sequence, row int, reason infer.FinishReason, stop, text string, tokens int) error {
	if err := l.noteEnd(s, row); err != nil {
		return err
	}
	l.judge(s, reason == infer.FinishStop || reason == infer.FinishStopString)
	held := l.pool.Sequence(s.seq).Tokens
	l.rest(s)
	l.urgent = true
	end := s.end(reason, stop, time.Now())
	l.settle(s, held, end)
	l.send(wire.KindOutput, wire.Output{ID: s.id, Event: infer.Event{Text: text, Tokens: tokens, End: end}})
	return nil
}

// begin looks at what an answer begins with. One that ends at once is no answer: another
// token is drawn; and if it is not the first suspicious answer in a row, what it reused is
// computed again (a model may well have nothing to say, and a prompt costs minutes). Both
// happen once. begins is false if there is no token yet, or if the request has been
// refused.
func (l *loop) begin(s *sequence, row int, token llama.Token) (_ llama.Token, begins bool, err error) {
	if err := l.compareOver(s, row); err != nil {
		return token, false, err
	}
	if !l.vocab.IsEnd(token) {
		return token, true, nil
	}
	if s.sampling.Temperature > 0 {
		other := s.sampling
		other.Seed++
		l.drawWith(s, other)
		if token, err = s.sampler.Sample(row); err != nil || !l.vocab.IsEnd(token) {
			return token, true, err
		}
	}
	if again := len(l.health.suspects) > 0 && !l.health.dropped; again && s.over == nil && s.prefilled < s.promptTokens() {
		return token, false, l.startOver(s, row)
	}
	if err := l.noteEnd(s, row); err != nil {
		return token, false, err
	}
	l.suspect(s)
	l.rest(s)
	l.refuse(s.ticket, infer.Error{Code: infer.CodeEmpty, Message: "The model ended its answer before it began.",
		Hint: "Say it in other words; if this happens often, the model's chat template may not fit (--chat-template)."})
	return token, false, nil
}

// drawWith replaces the sampler of a sequence whose answer has not begun.
func (l *loop) drawWith(s *sequence, p llama.SamplerParams) {
	if sampler, err := l.backend.NewSampler(p, nil); err == nil { // such a one was made before
		s.sampler.Close()
		s.sampler = sampler
	}
}

// over is of an answer that ended at once: what its logits were, and how much of its
// prompt was reused.
type over struct {
	want   []blockfile.Logit
	reused int
}

// startOver has the whole prompt of a sequence computed, with nothing reused.
func (l *loop) startOver(s *sequence, row int) error {
	logits, err := l.backend.Logits(row)
	if err != nil {
		return err
	}
	s.over = &over{want: digest(logits), reused: s.promptTokens() - s.prefilled}
	l.drawWith(s, s.sampling)
	for o := range s.common {
		delete(o.common, s)
	}
	clear(s.common)
	s.prefilled = 0
	l.reset(s)
	return l.broken
}

// compareOver says what reused KV was worth, once what it stood for is computed: if that
// gives other logits, it is not used again.
func (l *loop) compareOver(s *sequence, row int) error {
	if s.over == nil {
		return nil
	}
	logits, err := l.backend.Logits(row)
	if err != nil {
		return err
	}
	d := deviation(logits, s.over.want)
	if d <= maxDeviation {
		return nil
	}
	sequences, files := l.dropReused(s.tokens, s.over.reused, fmt.Errorf("the answer behind it was empty, and its logits %.2g standard deviations from what they are", d))
	l.keep.saveAgain(s.seq, 0)
	l.health.Discarded++
	l.keep.log.Warn("reused KV was wrong: the answer behind it was empty", "deviation", d, "sequences", sequences, "files", files)
	return l.broken
}

// refuse is reject for the loop's own use: it does not wait for a step.
func (l *loop) refuse(t *ticket, e infer.Error) {
	l.reject(t, e)
	l.flush()
}

// reject queues the answer to a request that cannot be served.
func (l *loop) reject(t *ticket, e infer.Error) {
	l.send(wire.KindRejected, wire.Rejected{ID: t.id, Error: e})
	l.ended(t)
}

func (l *loop) failStep(plan sched.Step, err error) {
	seqs := slices.Clone(plan.Decode)
	for _, c := range plan.Prefill {
		seqs = append(seqs, c.Seq)
	}
	l.closeEchoes(len(l.echoes))
	for _, seq := range seqs {
		s := l.bySeq(seq)
		l.refuse(s.ticket, infer.Error{Code: infer.CodeInternal, Message: "A step could not be computed: " + err.Error() + "."})
		l.discard(s)
	}
}
