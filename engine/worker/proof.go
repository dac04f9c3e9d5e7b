package worker

import (
	"errors"
	"fmt"
	"time"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
)

// proof is what is still to be shown of restored state: that a token of it gives the
// logits that it gave when it was saved. That is the prompt's last token if its logits
// were kept; they are computed anyway if the answer was not opened with them (own).
// Another is computed again on a sequence of its own, which shares the cells before it, as
// one more row of the next step; or as the last of several rows (see prove).
type proof struct {
	seq, at int
	rows    int
	token   llama.Token // of whole ones
	want    []blockfile.Logit
	// held and prefilled are what the sequence had before anything was computed behind
	// what came back; waits says that others are proven first.
	held, prefilled int
	waits           bool
	from            int // where the restored part begins
	pieces          store.Match
	whole           bool
	own             bool
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
	p := &proof{seq: s.seq, at: d.at, rows: 1, want: d.logits, held: l.evaluated(s), prefilled: s.prefilled, from: r.from, pieces: r.pieces}
	if p.own = d.at == p.held; p.own {
		s.proof = p
		return true
	}
	return l.prepareProof(s, p)
}

// prepareProof makes the sequence that a proof's rows are computed on. It returns false if
// there is none to be had.
func (l *loop) prepareProof(s *sequence, p *proof) bool {
	victims, ok := l.pool.PlanEviction(p.rows, true, kv.NoSequence)
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
	before := p.at - p.rows + 1
	if err := l.backend.Share(s.seq, seq, before); err != nil {
		l.broken = err
		return false
	}
	l.pool.Share(s.seq, seq, before)
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
		s.proof = &proof{seq: seq, at: end, rows: 1, token: s.tokens[end-1], want: last.logits, pieces: r.pieces, whole: true}
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

// proofRows counts the rows that the next step has for proofs and echoes. Proofs of many
// rows have one step each; what they are of is not gone on with meanwhile.
func (l *loop) proofRows() int {
	n, many := len(l.echoes), false
	for _, s := range l.active {
		if p := s.proof; p != nil && !p.own {
			if p.waits = p.rows > 1 && many; !p.waits {
				n += p.rows
			}
			many = many || p.rows > 1
		}
	}
	return n
}

// provenFirst says that s is not gone on with before it is proven: others are proven in
// this step, or nobody else is there, since a row alone is computed the most exactly (two
// together are up to 0.3 standard deviations off at a depth of 8K, 0.5b shape on CPU).
func (l *loop) provenFirst(s *sequence) bool {
	p := s.proof
	return p != nil && (p.waits || !p.own && !p.whole && p.rows == 1 && len(l.active) == 1)
}

// addProofs lays out the rows of proofs.
func (l *loop) addProofs() {
	for _, s := range l.active {
		p := s.proof
		if p == nil || p.own || p.waits {
			continue
		}
		for i := p.at - p.rows + 1; i <= p.at; i++ {
			row := llama.Row{Seq: p.seq, Pos: i, Token: p.token, Output: i == p.at}
			if !p.whole {
				row.Token = s.tokens[i]
			}
			if row.Output {
				l.proofs = append(l.proofs, output{s, len(l.rows), p.at})
			}
			l.rows = append(l.rows, row)
		}
	}
}

// proofChunk is how many rows a step must have for the kernels to compute it as they
// compute a prompt: with fewer, sums of many thousand values are less exact (0.41 standard
// deviations at a depth of 12K, 0.5b shape on CPU).
const proofChunk = 64

// proveAgain has the rows before a proof's computed with it, and again what was computed
// behind it. It returns false if what came back is too short for that.
func (l *loop) proveAgain(s *sequence, failed *proof) bool {
	p := *failed
	p.own, p.rows = false, min(proofChunk, (p.at-p.from)/2, l.sizes.steps.MaxRows/2)
	if failed.rows > 1 || p.rows < 2 {
		return false
	}
	if err := l.cut(s.seq, p.held); err != nil {
		l.broken = err
		return false
	}
	s.prefilled = p.prefilled
	return l.prepareProof(s, &p)
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
// another, more rows are computed, as when it was saved; and if that makes no difference,
// the restored part is prefilled.
func (l *loop) prove(s *sequence, logits []float32) bool {
	p := s.proof
	l.closeProof(s)
	d := deviation(logits, p.want)
	if d <= maxDeviation {
		l.keep.proven++
		return true
	}
	ids := idsOf(p.pieces)
	if !p.whole && l.proveAgain(s, p) || l.broken != nil {
		return false
	}
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
