package worker

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/sched"
)

// Sizes of what is kept.
const (
	// minKept is the shortest beginning that is worth a file: prefilling less takes no
	// longer than bringing it back.
	minKept = 128
	// minRestored is how many tokens more than the pool the disk must have.
	minRestored = 16
	// digestSize is how many of the likeliest tokens a block's digest has, but that of
	// a prompt's end, which is an opening.
	digestSize = 8
)

// trail is what the keeper knows of one sequence in the pool.
type trail struct {
	// ids are those of the sequence's whole blocks, of which the first saved are kept.
	ids   []blockfile.ID
	saved int
	// digests are of the logits after some tokens, by position, that are not kept yet:
	// the last of each block, the last of each prompt, and the last of all.
	digests map[int][]blockfile.Logit
	// checkpoint is the position of the last checkpoint, turns are those after the
	// first. Both are of models that have them.
	checkpoint int
	turns      []blockfile.ID
}

// keeper saves what sequences compute. The loop is its only user; the store's writer
// does the waiting. A keeper without a store keeps nothing.
type keeper struct {
	store   *store.Store
	root    blockfile.ID
	backend Backend
	trails  map[int]*trail
	// whole says that states are kept as checkpoints, stateOnly that there is nothing
	// else to keep; spacing is how many tokens are between two.
	whole, stateOnly bool
	spacing          int
	buffers          buffers // that blocks are read into
	// off is why there is no store.
	off string
	log *slog.Logger
	// paused says that nothing is saved, for somebody who measures; what is kept is used.
	paused bool
	// wrote, if not nil, is told of what is being written of a sequence.
	wrote func(seq int, id blockfile.ID, bytes int)
	// recent is what was given to the store since the engine was last seen to be right.
	recent []blockfile.ID
	// saved and restored tokens, and the time that the loop spent copying them.
	saved, restored   uint64
	saving, restoring time.Duration
	// Restored state that was proven by its logits, that had none to be proven with,
	// whose logits are not the same when they are computed again either, and that was
	// wrong.
	proven, unproven, noisy, disproved uint64
	// opened counts the answers that began with kept logits.
	opened uint64
}

func newKeeper(b Backend, s sizes) *keeper {
	return &keeper{log: slog.New(slog.DiscardHandler), backend: b, buffers: make(buffers, readAhead+3), trails: map[int]*trail{}, whole: s.whole, stateOnly: s.stateOnly, spacing: checkpointEvery}
}

// on says whether there is anywhere to keep things.
func (k *keeper) on() bool { return k.store != nil }

// saves says whether what is computed is saved.
func (k *keeper) saves() bool { return k.on() && !k.paused }

// writing says whether the store's writer has something to do.
func (k *keeper) writing() bool { return k.on() && k.store.Stats().QueueBytes > 0 }

// status describes what is kept.
func (k *keeper) status() infer.Kept {
	kept := infer.Kept{Off: k.off}
	if k.on() {
		st := k.store.Stats()
		kept = infer.Kept{
			On: true, Off: st.Off, Blocks: st.Blocks, Tails: st.Tails, Checkpoints: st.Checkpoints, Tokens: st.Tokens,
			Bytes: st.Bytes, Quota: st.Quota, PinnedBytes: st.Pinned, MemoryBytes: st.MemoryBytes, QueueBytes: st.QueueBytes,
			Written: st.Written, WrittenBytes: st.WrittenBytes, WrittenToday: st.Today, DailyBytes: st.Daily,
			Skipped: st.Skipped, Refused: st.Refused, Evicted: st.Evicted, ReadErrors: st.ReadErrors,
			Verified: st.Verified, FromMemory: st.FromMemory, FromDisk: st.FromDisk,
		}
		for r, n := range st.Rejected {
			if kept.Rejected == nil {
				kept.Rejected = map[string]uint64{}
			}
			kept.Rejected[string(r)] = n
		}
	}
	kept.SavedTokens, kept.RestoredTokens, kept.SaveTime, kept.RestoreTime = k.saved, k.restored, k.saving, k.restoring
	kept.Proven, kept.Unproven, kept.Noisy, kept.Disproved, kept.Opened = k.proven, k.unproven, k.noisy, k.disproved, k.opened
	return kept
}

// changed says whether the store's state has changed since it was told.
func (k *keeper) changed(told infer.Kept) bool {
	if !k.on() {
		return told.Off != k.off
	}
	st := k.store.Stats()
	return !told.On || st.QueueBytes != told.QueueBytes || st.Bytes != told.Bytes || st.Off != told.Off || st.Pinned != told.PinnedBytes || st.Written != told.Written
}

func (k *keeper) trail(seq int) *trail {
	t := k.trails[seq]
	if t == nil {
		t = &trail{digests: map[int][]blockfile.Logit{}}
		k.trails[seq] = t
	}
	return t
}

// digestsOf returns the digests of a range of positions, the last ones if there are too
// many.
func (t *trail) digestsOf(from, to int) []blockfile.Digest {
	var all []blockfile.Digest
	for _, at := range slices.Sorted(maps.Keys(t.digests)) {
		if at >= from && at < to {
			all = append(all, blockfile.Digest{After: at - from + 1, Logits: t.digests[at]})
		}
	}
	return all[max(0, len(all)-blockfile.MaxDigests):]
}

// share says that dst begins with src's first n tokens, and has nothing else.
func (k *keeper) share(src, dst, n int) {
	if !k.on() {
		return
	}
	from := k.trail(src)
	whole := min(n/blockfile.BlockTokens, len(from.ids))
	to := &trail{ids: slices.Clone(from.ids[:whole]), saved: min(from.saved, whole), digests: map[int][]blockfile.Logit{}}
	for at, d := range from.digests {
		if at < n {
			to.digests[at] = d
		}
	}
	k.trails[dst] = to
}

// cut says that only a sequence's first n tokens are left.
func (k *keeper) cut(seq, n int) {
	if t := k.trails[seq]; t != nil {
		t.ids = t.ids[:min(len(t.ids), n/blockfile.BlockTokens)]
		t.saved = min(t.saved, len(t.ids))
		for at := range t.digests {
			if at >= n {
				delete(t.digests, at)
			}
		}
	}
}

// saveAgain says that nothing of a sequence is kept from a position on: it was put aside.
func (k *keeper) saveAgain(seq, from int) {
	if t := k.trails[seq]; t != nil {
		t.ids = t.ids[:min(len(t.ids), from/blockfile.BlockTokens)]
		t.saved = min(t.saved, len(t.ids))
	}
}

// note remembers the digest of the logits after a sequence's token at a position.
func (k *keeper) note(seq, at int, d []blockfile.Logit) {
	if k.on() {
		k.trail(seq).digests[at] = d
	}
}

// endsBlock says whether the logits after a position are wanted for a digest.
func (k *keeper) endsBlock(at int) bool {
	return k.saves() && !k.whole && (at+1)%blockfile.BlockTokens == 0
}

// save keeps the whole blocks of a sequence that are not kept yet, as far as the
// store takes them.
func (k *keeper) save(seq int, tokens []llama.Token) error {
	if !k.saves() {
		return nil
	}
	t := k.trail(seq)
	for len(t.ids) < len(tokens)/blockfile.BlockTokens {
		at := len(t.ids) * blockfile.BlockTokens
		t.ids = append(t.ids, blockfile.ChainID(blockfile.KindBlock, k.parent(t, len(t.ids)), tokens[at:at+blockfile.BlockTokens]))
	}
	for t.saved < len(t.ids) {
		at := t.saved * blockfile.BlockTokens
		if !k.stateOnly && !k.store.Has(t.ids[t.saved]) {
			ok, err := k.put(seq, blockfile.KindBlock, t, tokens[at:at+blockfile.BlockTokens], at)
			if !ok {
				return err
			}
		}
		maps.DeleteFunc(t.digests, func(i int, _ []blockfile.Logit) bool { return i < at+blockfile.BlockTokens })
		t.saved++
	}
	return nil
}

func (k *keeper) parent(t *trail, block int) blockfile.ID {
	if block == 0 {
		return k.root
	}
	return t.ids[block-1]
}

// put copies a part of a sequence out and gives it to the store.
func (k *keeper) put(seq int, kind blockfile.Kind, t *trail, tokens []llama.Token, at int) (bool, error) {
	if !k.store.Accepts() {
		return false, nil
	}
	start := time.Now()
	payload, err := k.backend.Take(seq, at, at+len(tokens))
	if err != nil {
		return false, err
	}
	b := blockfile.Block{
		Kind: kind, Position: at, Tokens: tokens, Fingerprint: k.root, Parent: k.parent(t, at/blockfile.BlockTokens),
		Digests: t.digestsOf(at, at+len(tokens)), Payload: payload,
	}
	ok := k.store.Put(b)
	k.saving += time.Since(start)
	if ok {
		k.saved += uint64(len(tokens))
		k.tellWrote(seq, b)
	}
	return ok, nil
}

func (k *keeper) tellWrote(seq int, b blockfile.Block) {
	id := b.ID()
	if k.recent = append(k.recent, id); k.wrote != nil {
		k.wrote(seq, id, b.Size())
	}
}

// leave keeps all of a sequence that is about to leave the pool, its ragged end, too.
func (k *keeper) leave(seq int, tokens []llama.Token) error {
	defer delete(k.trails, seq)
	return k.tail(seq, tokens)
}

// tail keeps all of a sequence, its ragged end, too. A checkpoint that is made here
// has no digest.
func (k *keeper) tail(seq int, tokens []llama.Token) error {
	if !k.saves() || len(tokens) < minKept {
		return nil
	}
	if k.whole {
		b, ok, err := k.checkpoint(seq, tokens)
		if ok {
			k.putCheckpoint(seq, b)
		}
		return err
	}
	if err := k.save(seq, tokens); err != nil {
		return err
	}
	t := k.trail(seq)
	at := len(t.ids) * blockfile.BlockTokens
	rest := tokens[at:]
	if len(rest) == 0 || t.saved < len(t.ids) {
		return nil
	}
	if m := k.store.Longest(k.root, tokens); m.Tokens() == len(tokens) {
		return nil // it is the beginning of what is kept already
	}
	_, err := k.put(seq, blockfile.KindTail, t, rest, at)
	return err
}

// keptStore is a store and the root of its chains, or why there is none.
type keptStore struct {
	store *store.Store
	root  blockfile.ID
	off   string
}

// keepIn begins to keep: what is in the pool already, too. A store that has never been
// used is tried out first, for which the pool is emptied; it must wait for that until
// nothing is computed.
func (l *loop) keepIn(s *keptStore) {
	if s.store != nil && l.probe != nil && !s.store.Tested() {
		if len(l.active) > 0 || len(l.echoes) > 0 {
			l.untested = s
			l.keep.off = "It is still to be tested how this model's state comes back: as soon as nothing runs."
			return
		}
		s = l.try(s)
	}
	l.untested = nil
	l.keep.store, l.keep.root, l.keep.off = s.store, s.root, s.off
	clear(l.keep.trails)
	if s.store != nil {
		go l.keep.buffers.fill(blockfile.MaxHeader + blockfile.BlockTokens*(l.sizes.cellBytes+cellHead))
	}
	if s.store != nil && l.agents != nil {
		l.agents.Load(s.store)
	}
	if s.store != nil {
		l.recallCost(s.store)
	}
	for _, j := range l.waiting {
		l.fetch(j)
	}
}

// try runs the model's self-test. It returns the store, or why it is not used.
func (l *loop) try(s *keptStore) *keptStore {
	var idle []int
	l.pool.Sequences(func(seq int, _ *kv.Sequence) { idle = append(idle, seq) })
	if l.evict(idle); l.broken != nil {
		return s
	}
	err := selfTest(l.backend, l.sizes, l.probe)
	l.pool.Besides()
	if err != nil {
		if errors.Is(err, llama.ErrCompute) {
			l.broken = err
		}
		discard(s)
		return &keptStore{off: sentence(err)}
	}
	s.store.SetTested()
	return s
}

// fetch begins to read what is kept of a job's prompt beyond what the pool has.
func (l *loop) fetch(j *job) {
	if l.keep.on() && j.restore == nil {
		l.fetchBehind(j, l.lookup(j.tokens, len(j.tokens)-1).Tokens)
	}
}

func (l *loop) fetchBehind(j *job, have int) {
	if l.sizes.whole {
		j.restore = l.keep.fetchWhole(j.tokens, have, l.poke)
		return
	}
	j.restore = l.keep.fetch(j.tokens, have, l.poke)
}

// saveBlocks keeps the blocks that a step has filled.
func (l *loop) saveBlocks(plan sched.Step) {
	if !l.keep.on() || l.broken != nil {
		return
	}
	l.keepCost()
	l.saveMarks(plan)
	save := func(seq int) {
		// A sequence that has ended with the step is saved already.
		if s := l.pool.Sequence(seq); s != nil && len(s.Tokens)/blockfile.BlockTokens > len(l.keep.trail(seq).ids) {
			l.broken = errors.Join(l.broken, l.keep.save(seq, s.Tokens))
		}
	}
	for _, seq := range plan.Decode {
		save(seq)
	}
	for _, c := range plan.Prefill {
		save(c.Seq)
	}
}

// saveTails keeps all that is in the pool, to its ragged ends.
func (l *loop) saveTails() {
	if l.tailsSaved || !l.keep.on() {
		return
	}
	l.tailsSaved = true
	l.pool.Sequences(func(seq int, s *kv.Sequence) {
		if l.broken == nil {
			l.broken = l.keep.tail(seq, s.Tokens)
		}
	})
}

func (l *loop) noteLogits(s *sequence, at, row int) error {
	logits, err := l.backend.Logits(row)
	if err != nil {
		return err
	}
	if at != s.promptTokens()-1 {
		l.keep.note(s.seq, at, digest(logits))
		return nil
	}
	// The prompt's end: its answer begins with these, and it is proven with them when it
	// comes back.
	opening := likeliest(logits, openingSize)
	l.openings.put(s.tokens[:at+1], opening)
	l.keep.note(s.seq, at, opening)
	return nil
}

// noteEnd remembers the logits after the last token of a sequence that has ended, for
// its tail. If that is its prompt's, more of them are noted already.
func (l *loop) noteEnd(s *sequence, row int) error {
	at := l.evaluated(s) - 1
	if !l.keep.on() || at == s.promptTokens()-1 {
		return nil
	}
	logits, err := l.backend.Logits(row)
	if err != nil {
		return err
	}
	if !finite(logits) {
		return llama.ErrLogits
	}
	l.keep.note(s.seq, at, digest(logits))
	return nil
}

// checkProofs proves what was restored, and returns those whose state was wrong.
func (l *loop) checkProofs() (disproved map[*sequence]bool, err error) {
	for _, o := range l.proofs {
		logits, err := l.backend.Logits(o.row)
		if err != nil {
			return nil, err
		}
		if !l.prove(o.s, logits) {
			if disproved == nil {
				disproved = map[*sequence]bool{}
			}
			disproved[o.s] = true
		}
	}
	return disproved, l.broken
}
