package worker

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/sched"
)

// Checkpoints are for models whose state is not made of tokens only (sizes.whole): a
// sliding window, recurrent layers, or those among attention. The state is only right
// at the position where it was taken, so it is taken where prompts are likely to part:
// at the ends of messages, at the end of an answer, and now and then in a long prompt.
// See DESIGN.md, "Checkpoints".

const (
	// minCheckpoint is how many tokens a checkpoint should spare over the one before.
	minCheckpoint = 32
	// checkpointEvery is how many tokens of a long prompt are between two, and
	// rarely where a state is larger than largeState bytes.
	checkpointEvery, rarely = 2048, 8192
	largeState              = 16 << 20
	// turnCheckpoints is how many of a conversation's own checkpoints are kept. Those
	// of earlier turns are the beginnings of nothing that will be asked again.
	turnCheckpoints = 6
)

// echo is how a checkpoint gets its digest. The logits after its last token cannot be
// had again from the state behind that token; so the token is evaluated once more, on
// a sequence of its own that shares the state, as one row of the next step.
type echo struct {
	seq, at int
	token   llama.Token
	block   blockfile.Block
}

// checkpoint keeps the state of a sequence as it is now.
func (l *loop) checkpoint(seq int) {
	if !l.sizes.whole || l.broken != nil {
		return
	}
	b, ok, err := l.keep.checkpoint(seq, l.pool.Sequence(seq).Tokens)
	if err != nil {
		l.broken = err
	} else if ok && !l.openEcho(seq, b) && l.broken == nil {
		l.keep.putCheckpoint(seq, b)
	}
}

// openEcho makes the sequence that a checkpoint's digest is computed on. It returns
// false if there is none to be had.
func (l *loop) openEcho(src int, b blockfile.Block) bool {
	seq, ok := l.shareWhole(src)
	if ok {
		n := b.End()
		l.echoes = append(l.echoes, echo{seq: seq, at: n, token: l.pool.Sequence(src).Tokens[n-1], block: b})
	}
	return ok
}

// shareWhole opens a sequence that begins with all of src, and makes room for one more
// token.
func (l *loop) shareWhole(src int) (seq int, ok bool) {
	victims, ok := l.pool.PlanEviction(1, true, src)
	if !ok {
		return 0, false
	}
	if l.evict(victims); l.broken != nil {
		return 0, false
	}
	s := l.pool.Sequence(src)
	if seq, ok = l.pool.Open(s.Agent, time.Now()); !ok {
		return 0, false
	}
	if l.broken = l.backend.Share(src, seq, len(s.Tokens)); l.broken != nil {
		return 0, false
	}
	l.pool.Share(src, seq, len(s.Tokens))
	return seq, true
}

// checkEchoes keeps the checkpoints whose echoes the step has computed.
func (l *loop) checkEchoes() error {
	for i := range l.echoes[:l.echoed] {
		logits, err := l.backend.Logits(l.echoRow + i)
		if err != nil {
			return err
		}
		b := &l.echoes[i].block
		b.Digests = []blockfile.Digest{{After: len(b.Tokens), Logits: digest(logits)}}
	}
	l.closeEchoes(l.echoed)
	return l.broken
}

// closeEchoes ends the first n echoes, and keeps their checkpoints.
func (l *loop) closeEchoes(n int) {
	for _, e := range l.echoes[:n] {
		l.keep.putCheckpoint(e.seq, e.block)
		if err := l.backend.Remove(e.seq); err != nil {
			l.broken = errors.Join(l.broken, err)
			return
		}
		l.pool.Remove(e.seq)
	}
	l.echoes = slices.Delete(l.echoes, 0, n)
}

// align shortens chunks so that they end where a checkpoint belongs.
func (l *loop) align(plan *sched.Step) {
	if !l.sizes.whole || !l.keep.on() {
		return
	}
	for i, c := range plan.Prefill {
		s := l.bySeq(c.Seq)
		at := l.evaluated(s)
		plan.Prefill[i].Rows = min(c.Rows, l.nextMark(s, at)-at)
	}
}

// nextMark is the next position behind at where s has a checkpoint, or its end.
func (l *loop) nextMark(s *sequence, at int) int {
	next := len(s.tokens)
	if spaced := (at/l.keep.spacing + 1) * l.keep.spacing; spaced < next {
		next = spaced
	}
	for _, m := range s.marks {
		if m > at && m < next {
			next = m
		}
	}
	return next
}

// saveMarks takes the checkpoints that the chunks of a step end at.
func (l *loop) saveMarks(plan sched.Step) {
	if !l.sizes.whole || !l.keep.on() {
		return
	}
	for _, c := range plan.Prefill {
		i := slices.IndexFunc(l.active, func(s *sequence) bool { return s.seq == c.Seq })
		if i < 0 {
			continue
		}
		s := l.active[i]
		if at := l.evaluated(s); at < len(s.tokens) && (at%l.keep.spacing == 0 || slices.Contains(s.marks, at)) {
			l.checkpoint(s.seq)
		}
	}
}

// checkpoint makes a checkpoint of a sequence, after the blocks before it. ok is false
// if none is wanted, or if there is one already.
func (k *keeper) checkpoint(seq int, tokens []llama.Token) (b blockfile.Block, ok bool, err error) {
	n := len(tokens)
	t := k.trail(seq)
	if !k.saves() || n < minKept || t.checkpoint > 0 && n-t.checkpoint < minCheckpoint {
		return b, false, nil
	}
	if err := k.save(seq, tokens); err != nil || t.saved < len(t.ids) {
		return b, false, err
	}
	at := len(t.ids) * blockfile.BlockTokens
	b = blockfile.Block{
		Kind: blockfile.KindCheckpoint, Position: at, Tokens: slices.Clone(tokens[at:]), Fingerprint: k.root, Parent: k.parent(t, len(t.ids)),
	}
	id := b.ID()
	if k.store.Has(id) {
		t.checkpoint = n
		return b, false, nil
	}
	if !k.store.Accepts() {
		return b, false, nil
	}
	start := time.Now()
	defer func() { k.saving += time.Since(start) }()
	var cells []byte
	if at < n && !k.stateOnly {
		if cells, err = k.backend.Take(seq, at, n); err != nil {
			return b, false, err
		}
	}
	state, err := k.backend.State(seq)
	if err != nil {
		return b, false, err
	}
	if len(state) > largeState {
		k.spacing = rarely
	}
	b.Payload = joinState(cells, state)
	if t.checkpoint = n; t.turns == nil {
		t.turns = []blockfile.ID{} // the first, which is likely to be a system prompt's, stays
		return b, true, nil
	}
	if t.turns = append(t.turns, id); len(t.turns) > turnCheckpoints {
		k.store.Drop(t.turns[0])
		t.turns = t.turns[1:]
	}
	return b, true, nil
}

func (k *keeper) putCheckpoint(seq int, b blockfile.Block) {
	if k.on() && k.store.Put(b) {
		k.saved += uint64(len(b.Tokens))
		k.tellWrote(seq, b)
	}
}

// joinState makes a checkpoint's payload: the length of the cells, which are those of
// its tokens, the cells, and the state.
func joinState(cells, state []byte) []byte {
	p := make([]byte, 0, 8+len(cells)+len(state))
	p = binary.LittleEndian.AppendUint64(p, uint64(len(cells)))
	return append(append(p, cells...), state...)
}

// splitState is joinState's opposite; ok is false if the payload is none.
func splitState(payload []byte) (cells, state []byte, ok bool) {
	if len(payload) < 8 {
		return nil, nil, false
	}
	n, rest := binary.LittleEndian.Uint64(payload), payload[8:]
	if n >= uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n], rest[n:], true
}

// fetchWhole is fetch for models with checkpoints: the furthest one within the prompt,
// with all blocks before it.
func (k *keeper) fetchWhole(tokens []llama.Token, have int, wake func()) *restore {
	if !k.on() {
		return nil
	}
	blocks, at, ok := k.store.Checkpoint(k.root, tokens[:len(tokens)-1], !k.stateOnly)
	if !ok || at.From+at.Use-have < minRestored {
		return nil
	}
	if k.stateOnly {
		blocks = nil
	}
	r := k.read(append(blocks, at), 0, wake)
	r.whole = true
	return r
}

// putState puts a checkpoint back, which ends the restoring of s.
func (l *loop) putState(s *sequence, b read) error {
	at, end := l.evaluated(s), b.From+b.Tokens
	cells, state, ok := splitState(b.block.Payload)
	if !ok || !l.keep.stateOnly && (at != b.From || (len(cells) > 0) != (b.Tokens > 0)) {
		l.keep.store.Reject([]blockfile.ID{b.ID}, errors.New("its parts do not fit each other"))
		return nil
	}
	victims, ok := l.pool.PlanEviction(end-at, false, kv.NoSequence)
	if !ok {
		return nil
	}
	if l.evict(victims); l.broken != nil {
		return l.broken
	}
	var err error
	if len(cells) > 0 {
		err = l.backend.Put(s.seq, cells, at, end)
	}
	if err == nil {
		err = l.backend.PutState(s.seq, state, end)
	}
	if errors.Is(err, llama.ErrPoolFull) {
		l.keep.store.Reject([]blockfile.ID{b.ID}, err)
		return nil
	}
	if err != nil {
		return err
	}
	l.pool.Restore(s.seq, s.tokens[at:end], nil)
	s.restore.complete, s.restore.digests = true, placedIn(b.block, b.Tokens)
	l.keep.trail(s.seq).checkpoint = end
	l.keep.restored += uint64(b.Tokens)
	return nil
}

// reset forgets all that a sequence holds.
func (l *loop) reset(s *sequence) {
	s.returned = false
	if err := l.backend.Remove(s.seq); err != nil {
		l.broken = errors.Join(l.broken, err)
		return
	}
	l.pool.Truncate(s.seq, 0)
	delete(l.keep.trails, s.seq)
}
