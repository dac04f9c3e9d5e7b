package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
)

// readAhead is how many verified blocks wait for the loop, for each request that is
// being restored. Putting one back takes about as long as reading one.
const readAhead = 4

// putFor is how long the loop may put blocks back before the next step, while others
// wait for it.
const putFor = 10 * time.Millisecond

// restore brings the kept beginning of a prompt back: a goroutine reads and verifies,
// the loop puts what comes into the pool between steps.
type restore struct {
	pieces store.Match
	// from is where the first piece begins.
	from   int
	blocks chan read
	// opening brings the logits after the prompt, if they are kept; it comes before the
	// blocks.
	opening chan []blockfile.Logit
	cancel  context.CancelFunc
	began   time.Time
	// put says that something has been put back.
	put bool
	// digests are those of what has been put back, in the order of positions.
	digests []placed
	// whole says that nothing of it can be used without its last piece, a checkpoint,
	// complete that this has come.
	whole, complete bool
}

// placed is a digest of the logits after the token at a position.
type placed struct {
	at     int
	logits []blockfile.Logit
}

// placedIn returns the digests of a block's first use tokens.
func placedIn(b blockfile.Block, use int) []placed {
	var all []placed
	for _, d := range b.Digests {
		if d.After <= use {
			all = append(all, placed{b.Position + d.After - 1, d.Logits})
		}
	}
	return all
}

type read struct {
	store.Piece
	block blockfile.Block
	buf   []byte // what the block is in, if it can be used again
}

// proof is what is still to be shown of restored state: that a token of it gives the
// logits that it gave when it was saved. That is the prompt's last token if its logits
// were kept; they are computed anyway if the answer was not opened with them (own).
// Another is computed again on a sequence of its own, which shares the cells before it, as
// one more row of the next step.
type proof struct {
	seq, at int
	token   llama.Token
	want    []blockfile.Logit
	from    int // where the restored part begins
	pieces  store.Match
	whole   bool
	own     bool
}

// fetch starts to read what is kept of a prompt beyond what the pool has of it. It
// returns nil if that is too little.
func (k *keeper) fetch(tokens []llama.Token, have int, wake func()) *restore {
	if !k.on() {
		return nil
	}
	m := k.store.Longest(k.root, tokens)
	if min(m.Tokens(), len(tokens)-1)-have < minRestored {
		return nil
	}
	for len(m) > 0 && m[0].From+m[0].Tokens <= have {
		m = m[1:]
	}
	return k.read(m, len(tokens), wake)
}

// read starts to read pieces of a prompt of n tokens, 0 if its end is no matter. If they
// are all of it, the last is read first: it has the logits after the prompt.
func (k *keeper) read(m store.Match, n int, wake func()) *restore {
	ctx, cancel := context.WithCancel(context.Background())
	r := &restore{pieces: m, from: m[0].From, blocks: make(chan read, readAhead), opening: make(chan []blockfile.Logit, 1), cancel: cancel, began: time.Now()}
	lastFirst := r.covers(n)
	go func() {
		defer wake()
		defer close(r.blocks)
		var last read
		if p := m[len(m)-1]; lastFirst {
			b, buf, err := k.store.Get(p.ID, k.buffers.take())
			if err == nil {
				last = read{p, b, buf}
				if logits := openingIn(b, n); logits != nil {
					r.opening <- logits
					wake()
				}
			}
		}
		for i, p := range m {
			next := read{Piece: p}
			if i == len(m)-1 && last.Tokens > 0 {
				next = last
			} else {
				var err error
				if next.block, next.buf, err = k.store.Get(p.ID, k.buffers.take()); err != nil {
					return // the rest is prefilled
				}
			}
			select {
			case r.blocks <- next:
				wake()
			case <-ctx.Done():
				return
			}
		}
	}()
	return r
}

// stopRestore ends the reading for a request, if there is any.
func (j *job) stopRestore() {
	if j.restore != nil {
		j.restore.cancel()
		j.restore = nil
	}
}

// dropRestore ends the restoring of s before it is done. What has come of a state that
// is only good as a whole is forgotten.
func (l *loop) dropRestore(s *sequence) {
	whole := s.restore != nil && s.restore.whole
	if s.stopRestore(); whole {
		l.reset(s)
	}
}

// restoreAll puts what has been read into the pool. It stops between blocks when
// others have waited for long enough.
func (l *loop) restoreAll() {
	start := time.Now()
	for _, s := range l.active {
		l.openFromDisk(s) // also if others bring its KV back
		for s.restore != nil && !s.follows && l.broken == nil {
			if time.Since(start) > putFor && l.computing() {
				return
			}
			if !l.restoreOne(s) {
				break
			}
		}
	}
}

// computing says whether a step would have rows.
func (l *loop) computing() bool {
	if len(l.echoes) > 0 {
		return true
	}
	for _, s := range l.active {
		if s.restore == nil && !s.follows {
			return true
		}
	}
	return false
}

// restoreOne puts one block back. It returns false if there is none yet.
func (l *loop) restoreOne(s *sequence) bool {
	select {
	case b, more := <-s.restore.blocks:
		l.openFromDisk(s) // as it was sent before b
		if !more {
			l.restored(s)
			return false
		}
		done, err := l.putBack(s, b)
		l.keep.buffers.give(b.buf)
		if err != nil {
			l.broken = err
			return false
		}
		if done {
			l.restored(s)
		}
		return true
	default:
		return false
	}
}

// putBack appends a block to a sequence. done says that no more can follow.
func (l *loop) putBack(s *sequence, b read) (done bool, err error) {
	if b.block.Kind == blockfile.KindCheckpoint {
		return true, l.putState(s, b)
	}
	at := l.evaluated(s)
	last := b.ID == s.restore.pieces[len(s.restore.pieces)-1].ID
	switch {
	case b.From+b.Use <= at: // others have computed it meanwhile
		return last, nil
	case b.From > at:
		return true, nil
	}
	if err := l.cut(s.seq, b.From); err != nil {
		return true, err
	}
	victims, ok := l.pool.PlanEviction(b.Tokens, false, kv.NoSequence)
	if !ok {
		return true, nil
	}
	if l.evict(victims); l.broken != nil {
		return true, l.broken
	}
	start := time.Now()
	if err := l.backend.Put(s.seq, b.block.Payload, b.From, b.From+b.Tokens); err != nil {
		if !errors.Is(err, llama.ErrPoolFull) {
			return true, err
		}
		// The payload is not what this model makes of so many tokens.
		l.pool.Unsure()
		l.keep.store.Reject([]blockfile.ID{b.ID}, err)
		return true, nil
	}
	order, ok := l.backend.Order(b.block.Payload)
	if !ok || len(order) != b.Tokens {
		order = nil
		l.pool.Unsure()
	}
	l.pool.Restore(s.seq, b.block.Tokens, order)
	if err := l.cut(s.seq, b.From+b.Use); err != nil {
		return true, err
	}
	s.restore.put = true
	s.restore.digests = append(s.restore.digests, placedIn(b.block, b.Use)...)
	l.keep.restoring += time.Since(start)
	l.keep.restored += uint64(b.Use)
	return last, nil
}

// cut keeps a sequence's first n tokens.
func (l *loop) cut(seq, n int) error {
	if n >= len(l.pool.Sequence(seq).Tokens) {
		return nil
	}
	if err := l.backend.Truncate(seq, n); err != nil {
		return err
	}
	l.pool.Truncate(seq, n)
	l.keep.cut(seq, n)
	return nil
}

// restored ends the restoring of s, and has the furthest block that came with a digest
// proven.
func (l *loop) restored(s *sequence) {
	r := s.restore
	s.stopRestore()
	if s.first.IsZero() {
		s.restoredIn += s.waitedFor(r)
	}
	s.returned = s.returned || r.put || r.complete
	if r.whole {
		if !r.complete {
			l.reset(s)
		} else if len(r.digests) == 0 || !l.openWholeProof(s, r) {
			l.keep.unproven++
		}
		return
	}
	if err := l.cut(s.seq, min(l.evaluated(s), len(s.tokens)-1)); err != nil {
		l.broken = err
	}
	next := l.evaluated(s)
	if l.broken != nil || next <= r.from || !r.put {
		return
	}
	for _, d := range r.digests { // for when its blocks are filled, and saved anew
		if d.at < next {
			l.keep.note(s.seq, d.at, d.logits)
		}
	}
	for _, d := range slices.Backward(r.digests) {
		if d.at <= next {
			if !l.openProof(s, r, d) {
				l.keep.unproven++
			}
			return
		}
	}
	l.keep.unproven++
}

// waitedFor is how long s has waited for what r brings: not while it had no sequence yet.
func (s *sequence) waitedFor(r *restore) time.Duration {
	if r.began.Before(s.seated) {
		return time.Since(s.seated)
	}
	return time.Since(r.began)
}

// unproven says whether what s holds is still to be proven, and from where on.
func (l *loop) unproven(s *sequence) (from int, is bool) {
	p := s.proof
	if p == nil || p.own && l.evaluated(s) > p.at { // others have computed it
		return 0, false
	}
	return p.from, true
}

// dropUnproven lets go of what has come back for s and is not proven yet: nobody would
// prove it later. It is on disk.
func (l *loop) dropUnproven(s *sequence) {
	from, is := l.unproven(s)
	if r := s.restore; r != nil && r.put {
		from, is = r.from, true
	}
	switch {
	case !is:
	case l.sizes.whole:
		l.reset(s)
	default:
		l.broken = errors.Join(l.broken, l.cut(s.seq, from))
	}
}

// openProof has d proven, on a sequence that it makes for that if need be. It returns
// false if there is none to be had.
func (l *loop) openProof(s *sequence, r *restore, d placed) bool {
	p := &proof{seq: s.seq, at: d.at, token: s.tokens[d.at], want: d.logits, from: r.from, pieces: r.pieces}
	if p.own = d.at == l.evaluated(s); p.own {
		s.proof = p
		return true
	}
	victims, ok := l.pool.PlanEviction(1, true, kv.NoSequence)
	if !ok {
		return false
	}
	if l.evict(victims); l.broken != nil {
		return false
	}
	seq, ok := l.pool.Open(s.agent, time.Now())
	if !ok {
		return false
	}
	if err := l.backend.Share(s.seq, seq, d.at); err != nil {
		l.broken = err
		return false
	}
	l.pool.Share(s.seq, seq, d.at)
	p.seq = seq
	s.proof = p
	return true
}

// openWholeProof is openProof for what came back with a checkpoint: see echo.
func (l *loop) openWholeProof(s *sequence, r *restore) bool {
	seq, ok := l.shareWhole(s.seq)
	if ok {
		end := l.evaluated(s)
		last := r.digests[len(r.digests)-1]
		s.proof = &proof{seq: seq, at: end, token: s.tokens[end-1], want: last.logits, pieces: r.pieces, whole: true}
	}
	return ok
}

// closeProof frees what a proof is computed on.
func (l *loop) closeProof(s *sequence) {
	if s.proof == nil {
		return
	}
	seq, own := s.proof.seq, s.proof.own
	s.proof = nil
	if own {
		return
	}
	if err := l.backend.Remove(seq); err != nil {
		l.broken = err
		return
	}
	l.pool.Remove(seq)
}

// proofRows counts the rows that the next step has for proofs and echoes.
func (l *loop) proofRows() int {
	n := len(l.echoes)
	for _, s := range l.active {
		if s.proof != nil && !s.proof.own {
			n++
		}
	}
	return n
}

// doubt is of restored state that gave other logits than were kept with it. Its part of
// the prompt is prefilled; if that gives what was kept, the state was wrong, and is put
// aside. If not, the logits are that sensitive there to how a step is made up, and the
// state is as good as any.
type doubt struct {
	at        int
	want      []blockfile.Logit
	deviation float64
	from      int // where the restored part began
	ids       []blockfile.ID
}

// prove compares what was computed from restored state with what it was. If that is
// another, the restored part is prefilled.
func (l *loop) prove(s *sequence, logits []float32) bool {
	p := s.proof
	l.closeProof(s)
	d := deviation(logits, p.want)
	if d <= maxDeviation {
		l.keep.proven++
		return true
	}
	ids := idsOf(p.pieces)
	if p.whole { // its token is not computed again as it was
		l.rejectKept(ids, d)
		l.reset(s)
		return false
	}
	s.doubt = &doubt{at: p.at, want: p.want, deviation: d, from: p.from, ids: ids}
	if err := l.cut(s.seq, p.from); err != nil {
		l.broken = err
	}
	return false
}

// settleDoubts decides on what was prefilled instead of being restored.
func (l *loop) settleDoubts() error {
	for _, o := range l.doubts {
		logits, err := l.backend.Logits(o.row)
		if err != nil {
			return err
		}
		d := o.s.doubt
		o.s.doubt = nil
		if deviation(logits, d.want) > d.deviation/2 {
			l.keep.noisy++
			l.keep.log.Warn("restored KV gave other logits than were kept, but so does computing it", "deviation", d.deviation, "position", d.at)
			continue
		}
		l.rejectKept(d.ids, d.deviation)
		l.keep.saveAgain(o.s.seq, d.from)
	}
	return nil
}

func idsOf(pieces store.Match) []blockfile.ID {
	ids := make([]blockfile.ID, len(pieces))
	for i, p := range pieces {
		ids[i] = p.ID
	}
	return ids
}

func (l *loop) rejectKept(ids []blockfile.ID, deviation float64) {
	l.keep.disproved++
	l.keep.log.Warn("restored KV is wrong: it gives other logits than were kept", "deviation", deviation, "files", len(ids))
	l.keep.store.Reject(ids, fmt.Errorf("the logits after it are %.2g standard deviations from what they were", deviation))
}
