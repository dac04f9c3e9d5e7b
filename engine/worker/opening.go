package worker

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"samovar/engine/infer"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// Sizes of openings.
const (
	// openingSize is how many of the likeliest tokens after a prompt are kept with it: as
	// many as a request may have its sampler choose from to be answered from them.
	openingSize = blockfile.MaxLogits
	// openingsKept is how many prompts' are remembered in memory, of half a kilobyte each.
	openingsKept = 1024
)

// openings are the logits after whole prompts, of the likeliest tokens. When a prompt
// comes again whose KV is there, to be tried once more or to be answered several times,
// the first token is drawn from these: nothing of the prompt is computed twice, and the
// answer begins before its KV is back. They are from when the prompt was computed; those
// on disk lie in the checksummed heads of blocks (see blockfile). KV that comes from there
// is proven before the second token all the same.
type openings struct {
	lru *simplelru.LRU[blockfile.ID, []blockfile.Logit]
}

func newOpenings() openings {
	lru, err := simplelru.NewLRU[blockfile.ID, []blockfile.Logit](openingsKept, nil)
	if err != nil { // the size is a constant
		panic(err)
	}
	return openings{lru: lru}
}

func (o openings) id(prompt []llama.Token) blockfile.ID {
	return blockfile.ChainID(blockfile.KindTail, blockfile.ID{}, prompt)
}

func (o openings) put(prompt []llama.Token, logits []blockfile.Logit) {
	id := o.id(prompt)
	if had, ok := o.lru.Get(id); !ok || len(logits) >= len(had) { // a block's end has few
		o.lru.Add(id, logits)
	}
}

func (o openings) of(prompt []llama.Token) []blockfile.Logit {
	logits, _ := o.lru.Get(o.id(prompt))
	return logits
}

// forget lets go of all: that costs each prompt one token.
func (o openings) forget() { o.lru.Purge() }

// openingIn returns the logits after the first n tokens of a chain, if a block of it has
// them.
func openingIn(b blockfile.Block, n int) []blockfile.Logit {
	for _, d := range b.Digests {
		if b.Position+d.After == n {
			return d.Logits
		}
	}
	return nil
}

// unbegun says that nothing of the answer is there yet, that nothing is known against
// what its prompt reuses, and that somebody waits for it.
func (s *sequence) unbegun() bool { return s.completed == 0 && s.over == nil && s.left.IsZero() }

// covers says whether what is restored is all of a prompt of n tokens.
func (r *restore) covers(n int) bool {
	if r == nil || r.whole {
		return false
	}
	last := r.pieces[len(r.pieces)-1]
	return last.From+last.Use == n
}

// openFromMemory opens s if what follows its prompt is known, and all of its KV is in the
// pool or on its way there.
func (l *loop) openFromMemory(s *sequence) bool {
	n := len(s.tokens)
	if !s.unbegun() || l.sizes.whole || !s.restore.covers(n) && l.lookup(s.tokens, n).Tokens < n {
		return false
	}
	return l.open(s, l.openings.of(s.tokens))
}

// openFromDisk opens s with what its restore brings, if it has come.
func (l *loop) openFromDisk(s *sequence) {
	if s.restore == nil {
		return
	}
	select {
	case opening := <-s.restore.opening:
		if s.answered > 0 { // it is of more than the prompt, or known
			return
		}
		l.openings.put(s.tokens, opening)
		if s.unbegun() && l.open(s, opening) {
			s.restoredIn += s.waitedFor(s.restore)
			l.sayOpening(s)
		}
	default:
	}
}

// open draws the first token of s from the logits after its prompt, as its sampler would
// have from all of them. It returns false if that cannot be, with nothing changed. What
// ends an answer is left to be seen where it is computed.
func (l *loop) open(s *sequence, logits []blockfile.Logit) bool {
	p := s.sampling
	if enough := p.Temperature == 0 || 1 <= p.TopK && p.TopK <= len(logits); !enough || len(logits) == 0 || s.maxTokens < 2 {
		return false
	}
	candidates := make([]llama.Candidate, len(logits))
	for i, c := range logits {
		candidates[i] = llama.Candidate{Token: c.Token, Logit: c.Value}
	}
	token, err := s.sampler.Choose(candidates)
	if err == nil && !l.vocab.IsEnd(token) {
		piece := string(l.vocab.Piece(l.piece[:0], token))
		if !slices.ContainsFunc(s.stop, func(stop string) bool { return strings.Contains(piece, stop) }) {
			s.tokens = append(slices.Clip(s.tokens), token)
			s.said, s.answered = []llama.Token{token}, 1
			return true
		}
	}
	l.drawWith(s, s.sampling) // as if nothing had been drawn
	return false
}

// sayOpening sends what s was opened with.
func (l *loop) sayOpening(s *sequence) {
	now := time.Now()
	s.evaluatedAt, s.first, l.urgent = now, now, true
	s.count(s.said[0])
	l.piece = l.vocab.Piece(l.piece[:0], s.last)
	text, _, _ := s.text.Push(l.piece) // it is no stop string
	l.send(wire.KindOutput, wire.Output{ID: s.id, Event: infer.Event{Text: text, Tokens: 1}, Token: s.last, Opened: true})
	l.flush()
	l.keep.opened++
}
