package worker

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/prompt"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// evaluated is how many tokens of s are in the pool: the next position.
func (l *loop) evaluated(s *sequence) int { return len(l.pool.Sequence(s.seq).Tokens) }

// prefillLeft is how many prompt tokens of s are still to be evaluated.
func (l *loop) prefillLeft(s *sequence) int { return max(0, len(s.tokens)-l.evaluated(s)) }

// reserved is how many cells the active sequences are to get. It is a promise only
// for their next tokens: answers grow beyond it, and when all cells are taken the
// one that was bound last is paused.
func (l *loop) reserved() int {
	n := 0
	for _, s := range l.active {
		at := l.evaluated(s)
		n += s.room(at, l.sizes.headroom) - at
	}
	return n
}

// bind gives waiting jobs a sequence as long as there is one and the cells that
// the job may need are free or can be freed. The first that does not fit holds the
// rest back, so that large requests are not overtaken for ever.
func (l *loop) bind() {
	for len(l.waiting) > 0 && len(l.active) < l.sizes.sequences && l.broken == nil {
		i := sched.Pick(l.candidates(), l.atWork())
		if !l.seat(l.waiting[i]) {
			return
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.follow() // before what is kept is brought back for both
	}
}

// candidates are those that wait.
func (l *loop) candidates() []sched.Candidate {
	candidates := make([]sched.Candidate, len(l.waiting))
	for i, j := range l.waiting {
		candidates[i] = sched.Candidate{Arrived: j.arrived, Agent: j.agent}
	}
	return candidates
}

// atWork counts the active requests of each agent.
func (l *loop) atWork() map[string]int {
	n := map[string]int{}
	for _, s := range l.active {
		n[s.agent]++
	}
	return n
}

// seat binds one job to a sequence that begins with what the pool has of its
// prompt. It returns false if the job does not fit now.
func (l *loop) seat(j *job) bool {
	// The last token is computed, as its logits are sampled, unless they are kept.
	match := l.lookup(j.tokens, len(j.tokens)-1)
	// Alone it may have all there is; otherwise growth never ends in a standstill.
	if len(l.active) > 0 {
		j.wants, j.has = j.room(0, l.sizes.headroom)-match.Pinned, l.sizes.cells-l.pool.Pinned()-l.reserved()
		if j.wants > j.has {
			return false
		}
	}
	now := time.Now()
	s := j.paused
	if s == nil {
		sampler, err := l.backend.NewSampler(j.sampling, j.said)
		if err != nil {
			j.close()
			l.refuse(j.ticket, infer.Error{Code: infer.CodeInvalid, Message: err.Error() + "."})
			return true
		}
		s = &sequence{job: j, sampler: sampler, text: prompt.NewTextStream(j.stop), bound: now}
		for _, t := range j.said { // of which the client has the text
			s.count(t)
			l.piece = l.vocab.Piece(l.piece[:0], t)
			s.text.Push(l.piece)
		}
	}
	if j.restore != nil && match.Tokens < j.restore.from {
		j.stopRestore() // what was in the pool has left since
	}
	if j.restore == nil {
		l.fetchBehind(j, match.Tokens)
	}
	if j.restore != nil && j.restore.whole { // it does not go on from what is there
		if last := j.restore.pieces[len(j.restore.pieces)-1]; last.From+last.Use < match.Tokens+minRestored {
			j.stopRestore()
		} else {
			match = kv.Match{}
		}
	}
	opened := l.openFromMemory(s)
	if opened {
		match = l.lookup(s.tokens, len(s.tokens)-1)
	}
	s.common, s.follows, s.seated, j.paused = map[*sequence]int{}, false, now, nil
	if match.Whole {
		s.seq = match.Seq
		l.pool.Activate(s.seq, j.agent, now)
	} else {
		keep := kv.NoSequence
		if match.Tokens > 0 {
			keep = match.Seq
		}
		victims, ok := l.pool.PlanEviction(0, true, keep)
		if !ok { // the only idle one is the match, and cannot be cut
			match.Tokens = 0
			victims, _ = l.pool.PlanEviction(0, true, kv.NoSequence)
		}
		if l.evict(victims); l.broken != nil {
			s.sampler.Close()
			return false
		}
		s.seq, _ = l.pool.Open(j.agent, now)
		if match.Tokens > 0 {
			l.share(match.Seq, s, match.Tokens)
		}
	}
	for _, o := range l.active {
		if n := min(kv.CommonPrefix(s.tokens, o.tokens), len(s.tokens)-1, len(o.tokens)-1); n > 0 && !l.sizes.whole {
			s.common[o], o.common[s] = n, n
		}
	}
	l.active = append(l.active, s)
	if opened {
		l.sayOpening(s)
	}
	return true
}

// lookup finds the longest beginning of a prompt in the pool, within its first most tokens,
// without what is still to be proven of another: that is waited for.
func (l *loop) lookup(tokens []kv.Token, most int) kv.Match {
	m := l.pool.Lookup(tokens, most, l.sizes.whole)
	for _, s := range l.active {
		if from, is := l.unproven(s); is && (m.Seq == s.seq || m.Seq == s.proof.seq) && from < m.Tokens {
			m = kv.Match{Seq: m.Seq, Tokens: from, Pinned: min(from, m.Pinned)}
		}
	}
	return m
}

func (l *loop) share(from int, s *sequence, n int) {
	if err := l.backend.Share(from, s.seq, n); err != nil {
		l.broken = err
		return
	}
	l.pool.Share(from, s.seq, n)
	l.keep.share(from, s.seq, n)
}

// follow finds prompts with a common beginning that none has computed yet. The
// one with the least left leads, the others wait for it and then share its cells.
func (l *loop) follow() {
	for _, s := range l.active {
		left := l.prefillLeft(s)
		if left == 0 || s.doubt != nil { // a doubt is settled by who has it
			s.follows = false
			continue
		}
		had := s.follows
		s.follows = false
		for o, common := range s.common {
			if l.leads(o, s, common) {
				s.follows = true
				break
			}
		}
		if had && !s.follows {
			if m := l.lookup(s.tokens, len(s.tokens)-1); m.Tokens > l.evaluated(s) && m.Seq != s.seq {
				l.share(m.Seq, s, m.Tokens)
			}
		}
	}
}

// leads says whether o computes a common beginning of its prompt and s's, or is about to
// prove it.
func (l *loop) leads(o, s *sequence, common int) bool {
	ahead, left := l.prefillLeft(o), l.prefillLeft(s)
	before := o.doubt != nil || ahead < left || ahead == left && (o.arrived.Before(s.arrived) || o.arrived.Equal(s.arrived) && o.seq < s.seq)
	_, unproven := l.unproven(o)
	return before && common > l.evaluated(s) && (ahead > 0 && common > l.evaluated(o) || unproven)
}

// plan chooses the rows of the next step and frees the cells that they need: idle
// sequences are evicted, and when that does not suffice, active ones are paused, the
// one that was seated last first.
func (l *loop) plan(now time.Time) sched.Step {
	for {
		limits, proofs := l.sizes.steps, l.proofRows()
		limits.MaxRows -= proofs
		plan := sched.Plan(l.tasks(), limits, l.meter.Cost(), now)
		l.align(&plan)
		victims, ok := l.pool.PlanEviction(plan.Rows()+proofs, false, kv.NoSequence)
		if ok || len(l.active) <= 1 {
			l.evict(victims)
			return plan
		}
		l.pause(slices.MaxFunc(l.active, func(a, b *sequence) int { return a.seated.Compare(b.seated) }))
	}
}

// pause puts a sequence back among the waiting. What it holds is idle from now on;
// what of it gets lost until it is seated again is computed again.
func (l *loop) pause(s *sequence) {
	l.pauses++
	l.dropUnproven(s)
	l.dropRestore(s)
	l.closeProof(s)
	s.doubt = nil
	evaluated := l.pool.Sequence(s.seq).Tokens
	if len(evaluated) >= len(s.tokens) {
		fresh := len(evaluated) + 1 - len(s.tokens) // last is not evaluated yet
		s.tokens = append(slices.Clone(evaluated), s.last)
		s.answered += fresh
	}
	l.unlist(s)
	if len(evaluated) > 0 {
		l.pool.Rest(s.seq, time.Now())
	} else {
		l.empty(s)
	}
	s.paused = s
	s.enter(infer.PhaseWaiting, time.Now())
	l.waiting = append(l.waiting, s.job)
}

func (l *loop) evict(seqs []int) {
	for _, seq := range seqs {
		err := l.keep.leave(seq, l.pool.Sequence(seq).Tokens)
		if err == nil {
			err = l.backend.Remove(seq)
		}
		if err != nil {
			l.broken = err
			return
		}
		l.pool.Evict(seq)
	}
}

// rest ends the work on a sequence; what it holds stays hot.
func (l *loop) rest(s *sequence) {
	l.dropUnproven(s)
	l.dropRestore(s)
	l.leave(s)
	if l.evaluated(s) == 0 {
		l.empty(s)
		return
	}
	l.pool.Rest(s.seq, time.Now())
	if err := l.keep.save(s.seq, l.pool.Sequence(s.seq).Tokens); err != nil {
		l.broken = err
	}
	l.checkpoint(s.seq)
}

// discard ends the work on a sequence and forgets what it holds.
func (l *loop) discard(s *sequence) {
	l.leave(s)
	l.empty(s)
}

func (l *loop) empty(s *sequence) {
	if err := l.backend.Remove(s.seq); err != nil {
		l.broken = err // neither its cells nor what they hold is known any more
		return
	}
	l.pool.Remove(s.seq)
	delete(l.keep.trails, s.seq)
}

func (l *loop) leave(s *sequence) {
	s.stopRestore()
	l.closeProof(s)
	s.sampler.Close()
	l.unlist(s)
	l.ended(s.ticket)
}

func (l *loop) unlist(s *sequence) {
	l.active = slices.DeleteFunc(l.active, func(o *sequence) bool { return o == s })
	for _, o := range l.active {
		delete(o.common, s)
	}
}

// How often, in steps, the pool is looked after, and the most bytes that are moved
// at a time.
const (
	lookAfterEvery = 16
	maxMoveBytes   = 512 << 20
)

// What moving a byte of KV costs, out and in (ENGINE.md §5: 8 GB/s each way).
const moveByte = 0.25 // ns

// minReturn is what bringing a kept token back costs at least, all in all.
const minReturn = 20 * time.Microsecond

// assumedRow is what computing a token of a prompt costs until it was measured.
const assumedRow = 2 * time.Millisecond

// prices are those of this model on this machine, as far as measured.
func (l *loop) prices() kv.Prices {
	back := l.meter.Cost().PrefillRow
	if back == 0 {
		back = assumedRow
	}
	if l.keep.on() {
		// Read, verified and put back: three times over the bytes; and a row to prove it.
		back = min(back, max(minReturn, time.Duration(3*moveByte*float64(l.sizes.cellBytes))))
	}
	return kv.Prices{
		SkipCell: l.sizes.skipCell,
		Return:   back,
		MoveCell: time.Duration(moveByte * float64(l.sizes.cellBytes)),
	}
}

// lookAfterPool lets idle sequences leave that cost more than they save, and
// compacts the pool when the steps ahead repay it.
func (l *loop) lookAfterPool() {
	if l.verify {
		l.broken = errors.Join(l.broken, l.compare())
	}
	if l.since++; l.since < lookAfterEvery || l.broken != nil {
		return
	}
	l.evict(l.pool.Charge(l.since, l.prices()))
	l.since = 0
	if !l.sizes.whole && l.pool.Used()*l.sizes.cellBytes <= maxMoveBytes && l.pool.ShouldCompact(l.stepsAhead(), l.prices()) {
		l.broken = errors.Join(l.broken, l.compact())
	}
}

// stepsAhead guesses for how many steps the pool stays as it is: answers end on
// average half way to their limit.
func (l *loop) stepsAhead() int {
	const most = 1000
	steps := 0
	for _, s := range l.active {
		steps = max(steps, (s.maxTokens-s.completed)/2)
	}
	return min(steps, most)
}

// compact moves all sequences to the beginning of the pool.
func (l *loop) compact() error {
	moves := l.pool.PlanCompaction()
	data := make([][]byte, len(moves))
	for i, m := range moves {
		if m.From == m.To {
			continue
		}
		var err error
		if data[i], err = l.backend.Take(m.Seq, m.From, m.To); err != nil {
			return err
		}
	}
	for _, m := range moves {
		if err := l.backend.Remove(m.Seq); err != nil {
			return err
		}
	}
	for i, m := range moves {
		if m.From > 0 {
			if err := l.backend.Share(m.With, m.Seq, m.From); err != nil {
				return err
			}
		}
		if m.From == m.To {
			continue
		}
		if err := l.backend.Put(m.Seq, data[i], m.From, m.To); err != nil {
			return err
		}
	}
	l.pool.Compacted(moves)
	return nil
}

// compare is the debug check of the account against the backend's view.
func (l *loop) compare() error {
	var err error
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if e := l.backend.Verify(seq); e != nil {
			err = errors.Join(err, e)
		}
		if n := l.backend.Len(seq); n != len(s.Tokens) {
			err = errors.Join(err, fmt.Errorf("sequence %d has %d tokens, its account %d", seq, n, len(s.Tokens)))
		}
	})
	return err
}

// pulseEvery is how often a busy worker says how it is.
const pulseEvery = 100 * time.Millisecond

// tellPulse sends the worker's state if what it has to do has changed, or if it is
// time.
func (l *loop) tellPulse(now time.Time) {
	active, queued := len(l.active), len(l.waiting)
	changed, moving := l.notePhases(now)
	same := !changed && active == l.told.Active && queued == l.told.Queued && l.health.Health == l.told.Health && (active > 0 || l.pool.Used() == l.told.Pool.Used && !l.keep.changed(l.told.Kept))
	if same && (l.steps.Count == l.told.Steps.Count && !moving || active > 0 && now.Sub(l.toldAt) < pulseEvery) {
		return
	}
	cost := l.meter.Cost()
	l.steps.DecodeStep, l.steps.PrefillRow = cost.Decode, cost.PrefillRow
	l.told, l.toldAt = wire.Pulse{Active: active, Queued: queued, Pool: l.poolStatus(), Steps: l.steps, Kept: l.keep.status(), Health: l.health.Health, Requests: l.doings()}, now
	l.told.Steps.TimeBuckets = slices.Clone(l.steps.TimeBuckets)
	l.told.Steps.RowBuckets = slices.Clone(l.steps.RowBuckets)
	l.send(wire.KindPulse, l.told)
}

// padding is what llama.cpp rounds a pool's size up to.
const padding = 256

// placed says whether the pool's account is sure to have the native pool's size and kind,
// so that it knows where cells are.
func (s sizes) placed() bool { return !s.whole && s.cells%padding == 0 }

func (l *loop) poolStatus() infer.Pool {
	p := infer.Pool{
		Cells: l.pool.Cells(), Used: l.pool.Used(), Shared: l.pool.Shared(), Pinned: l.pool.Pinned(), Reserved: l.reserved(),
		Idle: l.pool.Idle(), Free: l.pool.Free(), Span: l.pool.Span(),
		Evictions: l.pool.Evictions(), Compactions: l.pool.Compactions(), Pauses: l.pauses, Held: l.held,
	}
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if s.Active {
			p.ActiveSequences++
		} else {
			p.IdleSequences++
		}
		at := infer.PoolSequence{Seq: seq, Agent: s.Agent, Active: s.Active, Tokens: len(s.Tokens), Shared: l.pool.SharedBy(seq)}
		if l.sizes.placed() {
			at.Cells = l.pool.Places(seq, infer.MaxPoolRuns)
		}
		p.Sequences = append(p.Sequences, at)
	})
	if l.sizes.placed() {
		p.SharedCells = l.pool.SharedPlaces(infer.MaxPoolRuns)
	}
	return p
}
