package worker

import (
	"context"
	"errors"

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
