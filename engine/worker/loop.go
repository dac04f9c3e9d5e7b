package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/prompt"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// Backend is what the loop needs of a llama.cpp context. The loop is its only
// caller, from one goroutine.
type Backend interface {
	// Decode evaluates rows; see llama.Context.Decode for the errors.
	Decode(rows []llama.Row) error
	// Remove empties a sequence and frees its cells.
	Remove(seq int) error
	// NewSampler returns a sampler for one sequence.
	NewSampler(p llama.SamplerParams) (Sampler, error)
}

// Sampler chooses tokens for one sequence.
type Sampler interface {
	// Sample chooses a token from an output row of the last Decode.
	Sample(row int) (llama.Token, error)
	Close()
}

// Vocab is what the loop needs to turn tokens into text.
type Vocab interface {
	// IsEnd says whether a token ends the model's turn.
	IsEnd(t llama.Token) bool
	// Piece appends a token's bytes to dst.
	Piece(dst []byte, t llama.Token) []byte
}

// sizes are the limits that the loop works within.
type sizes struct {
	cells, sequences int
	steps            sched.Limits
}

// loop is the single-writer step loop: it owns the backend and all sequences.
type loop struct {
	backend Backend
	vocab   Vocab
	sizes   sizes
	inbox   chan *job
	send    func(wire.Kind, any) // queues a frame
	flush   func()               // sends what is queued
	ended   func(*ticket)        // tells the reader to forget a request

	waiting  []*job // first come, first bound
	active   []*sequence
	freeSeqs []int
	reserved int   // cells that active sequences may come to need
	broken   error // set once a sequence could not be emptied
	meter    sched.Meter
	told     wire.Pulse
	steps    infer.Steps
	rows     []llama.Row
	piece    []byte
}

func newLoop(b Backend, v Vocab, s sizes, send func(wire.Kind, any), flush func(), ended func(*ticket)) *loop {
	l := &loop{backend: b, vocab: v, sizes: s, send: send, flush: flush, ended: ended, inbox: make(chan *job, 64)}
	for seq := range s.sequences {
		l.freeSeqs = append(l.freeSeqs, seq)
	}
	return l
}

// run serves until ctx is done (nil) or the backend is broken (its error).
func (l *loop) run(ctx context.Context) error {
	defer func() {
		for _, s := range l.active {
			s.sampler.Close()
		}
	}()
	for {
		if err := l.receive(ctx); err != nil {
			return nil
		}
		l.dropCancelled()
		if l.broken != nil {
			return l.broken
		}
		l.bind()
		l.tellPulse()
		if len(l.active) == 0 {
			continue
		}
		err := l.step()
		l.flush()
		if err != nil {
			return err
		}
	}
}

// receive takes all jobs that have come. With nothing else to do it waits for one.
func (l *loop) receive(ctx context.Context) error {
	if len(l.active) == 0 && len(l.waiting) == 0 {
		l.tellPulse()
		l.flush()
		select {
		case j := <-l.inbox:
			l.waiting = append(l.waiting, j)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		select {
		case j := <-l.inbox:
			l.waiting = append(l.waiting, j)
		case <-ctx.Done():
			return ctx.Err()
		default:
			return nil
		}
	}
}

func (l *loop) dropCancelled() {
	l.waiting = slices.DeleteFunc(l.waiting, func(j *job) bool {
		if j.cancelled.Load() {
			l.ended(j.ticket)
			return true
		}
		return false
	})
	for _, s := range slices.Clone(l.active) {
		if s.cancelled.Load() {
			l.release(s)
		}
	}
}

// bind gives waiting jobs a sequence, in order of arrival, as long as there is
// one and the cells that the job may need are free. The first that does not fit
// holds the rest back, so that large requests are not overtaken for ever.
func (l *loop) bind() {
	for len(l.waiting) > 0 && len(l.freeSeqs) > 0 {
		j := l.waiting[0]
		if l.reserved+j.cells() > l.sizes.cells {
			return
		}
		l.waiting = l.waiting[1:]
		sampler, err := l.backend.NewSampler(j.sampling)
		if err != nil {
			l.reject(j.ticket, infer.Error{Code: infer.CodeInvalid, Message: err.Error() + "."})
			continue
		}
		last := len(l.freeSeqs) - 1
		seq := l.freeSeqs[last]
		l.freeSeqs = l.freeSeqs[:last]
		l.reserved += j.cells()
		l.active = append(l.active, &sequence{
			job: j, seq: seq, sampler: sampler, text: prompt.NewTextStream(j.stop), bound: time.Now(),
		})
	}
}

// step plans, computes and samples once.
func (l *loop) step() error {
	plan := sched.Plan(l.tasks(), l.sizes.steps, l.meter.Cost(), time.Now())
	sampled := l.fill(plan)
	start := time.Now()
	err := l.backend.Decode(l.rows)
	now := time.Now()
	switch {
	case errors.Is(err, llama.ErrPoolFull), errors.Is(err, llama.ErrRows):
		// Our own accounting is wrong. Nothing was computed: end what was in
		// the step and go on for the others.
		l.failStep(plan, err)
		return nil
	case err != nil:
		return err
	}
	l.meter.Observe(plan, now.Sub(start))
	for _, c := range plan.Prefill {
		l.bySeq(c.Seq).evaluated += c.Rows
	}
	for _, o := range sampled {
		l.sample(o.s, o.row, now)
	}
	return nil
}

func (l *loop) tasks() []sched.Task {
	tasks := make([]sched.Task, len(l.active))
	for i, s := range l.active {
		tasks[i] = sched.Task{Seq: s.seq, Arrived: s.arrived, Prefill: s.prefillLeft()}
	}
	return tasks
}

// output is a row of the step whose logits are sampled.
type output struct {
	s   *sequence
	row int
}

// fill lays out the rows of a plan.
func (l *loop) fill(plan sched.Step) []output {
	l.rows = l.rows[:0]
	var outputs []output
	for _, seq := range plan.Decode {
		s := l.bySeq(seq)
		outputs = append(outputs, output{s, len(l.rows)})
		l.rows = append(l.rows, llama.Row{Seq: seq, Pos: s.evaluated, Token: s.last, Output: true})
		s.evaluated++
	}
	for _, c := range plan.Prefill {
		s := l.bySeq(c.Seq)
		for i := s.evaluated; i < s.evaluated+c.Rows; i++ {
			isLast := i == len(s.tokens)-1
			if isLast {
				outputs = append(outputs, output{s, len(l.rows)})
			}
			l.rows = append(l.rows, llama.Row{Seq: c.Seq, Pos: i, Token: s.tokens[i], Output: isLast})
		}
	}
	return outputs
}

func (l *loop) bySeq(seq int) *sequence {
	i := slices.IndexFunc(l.active, func(s *sequence) bool { return s.seq == seq })
	return l.active[i]
}

// sample takes the next token of s and sends what it adds to the text.
func (l *loop) sample(s *sequence, row int, now time.Time) {
	token, err := s.sampler.Sample(row)
	if err != nil {
		l.reject(s.ticket, infer.Error{Code: infer.CodeInternal,
			Message: fmt.Sprintf("The model's computation went wrong after %d tokens: %v.", s.completed, err)})
		l.release(s)
		return
	}
	if s.first.IsZero() {
		s.prefilled, s.first = now, time.Now()
	}
	if l.vocab.IsEnd(token) {
		l.finish(s, infer.FinishStop, "", s.text.Flush(), 0)
		return
	}
	s.last = token
	s.completed++
	l.piece = l.vocab.Piece(l.piece[:0], token)
	text, stop, stopped := s.text.Push(l.piece)
	switch {
	case stopped:
		l.finish(s, infer.FinishStopString, stop, text, 1)
	case s.completed >= s.maxTokens:
		reason := infer.FinishLength
		if s.atContext {
			reason = infer.FinishContext
		}
		l.finish(s, reason, "", text+s.text.Flush(), 1)
	default:
		l.send(wire.KindOutput, wire.Output{ID: s.id, Event: infer.Event{Text: text, Tokens: 1}})
	}
}

func (l *loop) finish(s *sequence, reason infer.FinishReason, stop, text string, tokens int) {
	l.release(s)
	l.send(wire.KindOutput, wire.Output{ID: s.id, Event: infer.Event{
		Text: text, Tokens: tokens, End: s.end(reason, stop, time.Now()),
	}})
}

// release frees all that a sequence holds.
func (l *loop) release(s *sequence) {
	s.sampler.Close()
	l.active = slices.DeleteFunc(l.active, func(o *sequence) bool { return o == s })
	l.reserved -= s.cells()
	if err := l.backend.Remove(s.seq); err != nil {
		l.broken = err // neither its cells nor what they hold is known any more
	}
	l.freeSeqs = append(l.freeSeqs, s.seq)
	l.ended(s.ticket)
}

func (l *loop) reject(t *ticket, e infer.Error) {
	l.send(wire.KindRejected, wire.Rejected{ID: t.id, Error: e})
	l.ended(t)
}

func (l *loop) failStep(plan sched.Step, err error) {
	seqs := slices.Clone(plan.Decode)
	for _, c := range plan.Prefill {
		seqs = append(seqs, c.Seq)
	}
	for _, seq := range seqs {
		s := l.bySeq(seq)
		l.reject(s.ticket, infer.Error{Code: infer.CodeInternal, Message: "A step could not be computed: " + err.Error() + "."})
		l.release(s)
	}
}

func (l *loop) tellPulse() {
	active, queued := len(l.active), len(l.waiting)
	if active == l.told.Active && queued == l.told.Queued {
		return
	}
	l.told = wire.Pulse{Active: active, Queued: queued, Steps: l.steps}
	l.send(wire.KindPulse, l.told)
}
