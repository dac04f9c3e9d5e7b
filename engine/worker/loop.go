package worker

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// Backend is what the loop needs of a llama.cpp context; see llama.Context for
// each. The loop is its only caller, from one goroutine, but for Abort and Resume.
type Backend interface {
	Decode(rows []llama.Row) error
	Remove(seq int) error
	Share(src, dst, n int) error
	Take(seq, from, to int) ([]byte, error)
	Put(seq int, data []byte, from, to int) error
	Truncate(seq, n int) error
	State(seq int) ([]byte, error)
	PutState(seq int, data []byte, n int) error
	Order(data []byte) (order []int, ok bool)
	// Logits returns those of an output row of the last Decode.
	Logits(row int) ([]float32, error)
	Abort()
	Resume()
	// Verify is the debug check of the pool's account.
	Verify(seq int) error
	// Len returns how many tokens a sequence holds.
	Len(seq int) int
	// NewSampler returns a sampler for one sequence that has chosen these tokens already.
	NewSampler(p llama.SamplerParams, chosen []llama.Token) (Sampler, error)
}

// Sampler chooses tokens for one sequence.
type Sampler interface {
	// Sample chooses a token from an output row of the last Decode.
	Sample(row int) (llama.Token, error)
	// Choose chooses the first token from the top of a row, the likeliest first.
	Choose(candidates []llama.Candidate) (llama.Token, error)
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
	cells int
	// sequences compute at a time; hot more may idle in the pool.
	sequences, hot int
	// headroom is how many tokens ahead of an answer are kept free for it.
	headroom int
	// cellBytes is the size of one token's KV, in bytes.
	cellBytes int
	// skipCell is what a used cell that is not attended to adds to a step.
	skipCell time.Duration
	// whole says that sequences cannot be cut or shared: only one that is all of a
	// prompt's beginning is continued. stateOnly says that tokens have no KV at all.
	whole, stateOnly bool
	steps            sched.Limits
}

// loop is the single-writer step loop: it owns the backend and all sequences.
type loop struct {
	backend Backend
	vocab   Vocab
	sizes   sizes
	inbox   chan *job
	// measures takes rounds of the raw loop, for when nothing else is to be done.
	measures chan wire.Measure
	send     func(wire.Kind, any) // queues a frame
	flush    func()               // sends what is queued
	ended    func(*ticket)        // tells the reader to forget a request

	pool *kv.Pool
	keep *keeper
	// openings are what answers began with.
	openings openings
	// agents knows who comes back; nil knows nobody. queries are about them.
	agents  *agents.Registry
	queries chan wire.Query
	// trims says what memory to let go of.
	trims chan wire.Trim
	// stores takes the store once it is open; wake says that something has come for a
	// request that waits in the pool.
	stores chan *keptStore
	wake   chan struct{}
	// probe is what a model's self-test is made with; nil makes none. untested is a
	// store that waits for it.
	probe    []llama.Token
	untested *keptStore
	waiting  []*job // in order of arrival
	active   []*sequence
	// turned is when the loop began what it is at, in ns since made; 0 while it waits.
	turned atomic.Int64
	// stepped counts the steps that were made, or tried.
	stepped atomic.Uint64
	made    time.Time
	broken  error // set once the pool and its account may differ
	meter   sched.Meter
	// costKept is the cost of a prompt's row that the store remembers.
	costKept time.Duration
	guard    stepGuard
	steps    infer.Steps
	// since counts the steps since the pool was last looked after.
	since  int
	pauses uint64
	// held counts the requests whose prefill went on without their client.
	held   uint64
	told   wire.Pulse
	toldAt time.Time
	rows   []llama.Row
	piece  []byte
	// urgent says that what is queued must not wait for the next flush.
	urgent  bool
	flushed time.Time
	// notes are rows of the step whose logits go into a block's digest, proofs those
	// that restored state is proven with.
	notes, proofs []output
	// doubts are rows that restored state was in doubt at.
	doubts []output
	// echoes are of checkpoints that are to be kept; the first echoed are in the step,
	// from echoRow on.
	echoes          []echo
	echoed, echoRow int
	health          health
	// tailsSaved says that the pool has been saved to its ends since it was last used.
	tailsSaved bool
	// verify makes the loop compare its account with the backend after each step.
	verify bool
}

// flushEvery is how long a token may wait for the next ones, so that they go out
// together: no eye sees more, and each hand-over takes the cores that compute away for
// a while, some 3 % of a fast model's decoding. First tokens and ends never wait, and
// no token waits that the next step, taken to be as long as the last, would make late.
const flushEvery = 30 * time.Millisecond

func newLoop(b Backend, v Vocab, s sizes, send func(wire.Kind, any), flush func(), ended func(*ticket)) *loop {
	l := &loop{
		made: time.Now(), backend: b, vocab: v, sizes: s, send: send, flush: flush, ended: ended, inbox: make(chan *job, 64), measures: make(chan wire.Measure, 16), queries: make(chan wire.Query, 16), trims: make(chan wire.Trim, 4),
		pool: kv.NewPool(s.cells, s.sequences+s.hot), guard: stepGuard{backend: b},
		keep: newKeeper(b, s), openings: newOpenings(), stores: make(chan *keptStore, 1), wake: make(chan struct{}, 1),
	}
	l.keep.wrote = l.wrote
	return l
}

// run serves until ctx is done (nil) or the backend is broken (its error).
func (l *loop) run(ctx context.Context) error {
	defer func() {
		for _, s := range l.active {
			s.stopRestore()
			s.sampler.Close()
		}
		for _, j := range l.waiting {
			j.close()
		}
	}()
	for {
		l.turned.Store(0)
		if err := l.receive(ctx); err != nil {
			return nil
		}
		l.turned.Store(int64(time.Since(l.made)))
		l.dropCancelled(time.Now())
		l.checkHealth()
		l.bind()
		l.tellPulse(time.Now())
		if l.restoreAll(); l.computing() && l.broken == nil {
			start := time.Now()
			err := l.step()
			if now := time.Now(); l.urgent || now.Sub(l.flushed)+now.Sub(start) > flushEvery || err != nil {
				l.urgent, l.flushed = false, now
				l.flush()
			}
			if err != nil {
				return err
			}
		}
		if l.broken != nil {
			return l.broken
		}
	}
}

// at is how long the loop has been at what it does; any goroutine may ask.
func (l *loop) at() time.Duration {
	turned := l.turned.Load()
	if turned == 0 {
		return 0
	}
	return time.Since(l.made) - time.Duration(turned)
}

// receive takes all jobs that have come. With nothing else to do it waits for one, or
// for what is read for those that it has.
func (l *loop) receive(ctx context.Context) error {
	l.follow() // who led may be gone
	if len(l.active) == 0 && len(l.waiting) == 0 && len(l.echoes) == 0 && !l.health.pending() {
		if err := l.rests(ctx); err != nil {
			return err
		}
	} else if !l.computing() && len(l.active) > 0 {
		l.flush()
		select {
		case <-l.wake:
		case j := <-l.inbox:
			l.arrive(j)
		case q := <-l.queries:
			l.query(q)
		case t := <-l.trims:
			l.trim(t)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		select {
		case j := <-l.inbox:
			l.arrive(j)
		case s := <-l.stores:
			l.keepIn(s)
		case q := <-l.queries:
			l.query(q)
		case t := <-l.trims:
			l.trim(t)
		case <-ctx.Done():
			return ctx.Err()
		default:
			return nil
		}
	}
}

// How long the worker is idle before it saves the ragged ends of what is in the pool,
// and how often an idle worker tells what its writer has done.
const (
	tailsAfter = 30 * time.Second
	idlePulse  = 250 * time.Millisecond
)

// rests waits, with nothing to do, until something is.
func (l *loop) rests(ctx context.Context) error {
	if l.untested != nil {
		if l.keepIn(l.untested); l.broken != nil {
			return nil
		}
	}
	tails := time.NewTimer(tailsAfter)
	defer tails.Stop()
	for {
		l.tellPulse(time.Now())
		l.flush()
		var again <-chan time.Time
		if l.keep.writing() {
			again = time.After(idlePulse)
		}
		select {
		case j := <-l.inbox:
			l.arrive(j)
		case m := <-l.measures:
			l.measure(m)
		case s := <-l.stores:
			l.keepIn(s)
		case q := <-l.queries:
			l.query(q)
		case t := <-l.trims:
			l.trim(t)
		case <-again:
			continue
		case <-tails.C:
			l.saveTails()
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
}

// arrive takes a job in, and begins to read what is kept of its prompt.
func (l *loop) arrive(j *job) {
	l.waiting = append(l.waiting, j)
	l.tailsSaved = false
	l.fetch(j)
}

// poke wakes a loop that waits for what is read.
func (l *loop) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// step plans, computes and samples once.
func (l *loop) step() error {
	plan := l.plan(time.Now())
	if l.broken != nil || plan.Rows() == 0 && l.proofRows() == 0 {
		return l.broken
	}
	if len(plan.Prefill) > 0 {
		l.flush() // a step that prefills can take long
	}
	sampled := l.fill(plan)
	start := time.Now()
	l.guard.begin(l.stepRows(plan))
	err := l.backend.Decode(l.rows)
	l.guard.end()
	l.stepped.Add(1)
	now := time.Now()
	switch {
	case errors.Is(err, llama.ErrAborted):
		// Most of it was for requests that are cancelled. Nothing was computed.
		l.steps.Aborted++
		l.pool.Undone(l.placed())
		return nil
	case errors.Is(err, llama.ErrPoolFull), errors.Is(err, llama.ErrRows):
		// Our own accounting is wrong. Nothing was computed: end what was in
		// the step and go on for the others.
		l.failStep(plan, err)
		return nil
	case err != nil:
		return err
	}
	if plan.Rows() > 0 {
		l.meter.Observe(plan, now.Sub(start))
	}
	l.steps.Add(len(plan.Decode), plan.Rows()-len(plan.Decode), now.Sub(start))
	l.computed(plan)
	if err := l.checkLogits(sampled); err != nil {
		return err
	}
	for _, o := range l.notes {
		if err := l.noteLogits(o.s, o.at, o.row); err != nil {
			return err
		}
	}
	disproved, err := l.checkProofs()
	if err == nil {
		err = l.settleDoubts()
	}
	if err == nil {
		err = l.checkEchoes()
	}
	if err != nil {
		return err
	}
	for _, o := range sampled {
		if disproved[o.s] {
			continue
		}
		if err := l.sample(o.s, o.row, now); err != nil {
			return err
		}
	}
	l.saveBlocks(plan)
	l.lookAfterPool()
	return nil
}

// placed are the step's rows as the pool has them.
func (l *loop) placed() []kv.Placement {
	placed := make([]kv.Placement, len(l.rows))
	for i, r := range l.rows {
		placed[i] = kv.Placement{Seq: r.Seq, Token: r.Token}
	}
	return placed
}

// computed accounts a step that was made.
func (l *loop) computed(plan sched.Step) {
	l.pool.Place(l.placed())
	for _, c := range plan.Prefill {
		if s := l.bySeq(c.Seq); s.answered == len(s.said) { // else it was counted before it was paused
			s.prefilled += max(0, min(l.evaluated(s), s.promptTokens())-(l.evaluated(s)-c.Rows))
		}
	}
}

// stepRows says how many rows of a step are whose.
func (l *loop) stepRows(plan sched.Step) map[*ticket]int {
	rows := make(map[*ticket]int, len(plan.Decode)+len(plan.Prefill))
	for _, seq := range plan.Decode {
		rows[l.bySeq(seq).ticket] = 1
	}
	for _, c := range plan.Prefill {
		if s := l.bySeq(c.Seq); s.holdable() {
			rows[nil] += c.Rows // it is not for nobody when its client leaves
		} else {
			rows[s.ticket] = c.Rows
		}
	}
	return rows
}

func (l *loop) tasks() []sched.Task {
	l.follow()
	tasks := make([]sched.Task, 0, len(l.active))
	for _, s := range l.active {
		if !s.follows && s.restore == nil && !l.provenFirst(s) {
			tasks = append(tasks, sched.Task{Seq: s.seq, Arrived: s.arrived, Agent: s.agent, Prefill: l.prefillLeft(s)})
		}
	}
	return tasks
}

// output is a row of the step whose logits are used: those after the token at a
// position.
type output struct {
	s       *sequence
	row, at int
}

// fill lays out the rows of a plan.
func (l *loop) fill(plan sched.Step) []output {
	l.rows, l.notes, l.proofs, l.doubts = l.rows[:0], l.notes[:0], l.proofs[:0], l.doubts[:0]
	var outputs []output
	for _, seq := range plan.Decode {
		s := l.bySeq(seq)
		o := output{s, len(l.rows), l.evaluated(s)}
		outputs = append(outputs, o)
		if l.keep.endsBlock(o.at) {
			l.notes = append(l.notes, o)
		}
		l.rows = append(l.rows, llama.Row{Seq: seq, Pos: o.at, Token: s.last, Output: true})
	}
	for _, c := range plan.Prefill {
		s := l.bySeq(c.Seq)
		for i, end := l.evaluated(s), l.evaluated(s)+c.Rows; i < end; i++ {
			o := output{s, len(l.rows), i}
			samples, notes := i == len(s.tokens)-1, l.keep.endsBlock(i)
			if samples {
				outputs = append(outputs, o)
				notes = notes || s.answered == 0 && !l.sizes.whole
			}
			if s.proof != nil && s.proof.own && i == s.proof.at {
				l.proofs = append(l.proofs, o)
			}
			doubted := s.doubt != nil && i == s.doubt.at
			if doubted {
				l.doubts = append(l.doubts, o)
			}
			if notes {
				l.notes = append(l.notes, o)
			}
			l.rows = append(l.rows, llama.Row{Seq: c.Seq, Pos: i, Token: s.tokens[i], Output: samples || notes || doubted})
		}
	}
	l.addProofs()
	l.echoed, l.echoRow = len(l.echoes), len(l.rows)
	for _, e := range l.echoes {
		l.rows = append(l.rows, llama.Row{Seq: e.seq, Pos: e.at, Token: e.token, Output: true})
	}
	return outputs
}

func (l *loop) bySeq(seq int) *sequence {
	i := slices.IndexFunc(l.active, func(s *sequence) bool { return s.seq == seq })
	return l.active[i]
}
