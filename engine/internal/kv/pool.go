package kv

import (
	"fmt"
	"slices"
	"time"
)

// Token is a token's number in the model's vocabulary.
type Token = int32

// Sequence is what one sequence of the pool holds.
type Sequence struct {
	// Tokens are those whose KV is in the pool, from position 0 on.
	Tokens []Token
	// Agent is whose it is, if known.
	Agent string
	// Active says that a request computes on it; else it is hot and idle.
	Active bool
	// Used is when it was last active.
	Used time.Time

	cells []int32 // cells[i] holds Tokens[i]
	// charged is how long it has slowed others down since it is idle.
	charged time.Duration
}

// Pool accounts Cells cells and up to so many sequences.
type Pool struct {
	cells int
	seqs  []*Sequence // by sequence id; nil is free

	// owners and active count the sequences, and the active ones, that each cell
	// belongs to.
	owners, active []int16
	head           int // where llama.cpp looks for free cells next
	// unsure says that head, or who has which cell, may be wrong; see Places.
	unsure bool
	runs   [][2]int // for Places to work in

	used, shared, pinned int
	evictions            uint64
	compactions          uint64
}

// NewPool returns an empty pool.
func NewPool(cells, sequences int) *Pool {
	return &Pool{cells: cells, seqs: make([]*Sequence, sequences), owners: make([]int16, cells), active: make([]int16, cells)}
}

// Cells returns the pool's size.
func (p *Pool) Cells() int { return p.cells }

// Used returns how many cells hold a token; Free is the rest.
func (p *Pool) Used() int { return p.used }

// Free returns how many cells are empty.
func (p *Pool) Free() int { return p.cells - p.used }

// Shared returns how many cells belong to more than one sequence.
func (p *Pool) Shared() int { return p.shared }

// Pinned returns how many cells belong to an active sequence: they cannot leave.
func (p *Pool) Pinned() int { return p.pinned }

// Idle returns how many cells belong to idle sequences only.
func (p *Pool) Idle() int { return p.used - p.pinned }

// Evictions and Compactions count what was done.
func (p *Pool) Evictions() uint64 { return p.evictions }

// Compactions: see Evictions.
func (p *Pool) Compactions() uint64 { return p.compactions }

// Sequence returns what a sequence holds, or nil if its id is free.
func (p *Pool) Sequence(seq int) *Sequence { return p.seqs[seq] }

// Sequences calls f with each sequence, by id.
func (p *Pool) Sequences(f func(seq int, s *Sequence)) {
	for seq, s := range p.seqs {
		if s != nil {
			f(seq, s)
		}
	}
}

// SharedBy returns how many of a sequence's cells other sequences have, too.
func (p *Pool) SharedBy(seq int) int {
	n := 0
	for _, c := range p.seqs[seq].cells {
		if p.owners[c] > 1 {
			n++
		}
	}
	return n
}

// Span returns the end of the highest used cell.
func (p *Pool) Span() int {
	for c := p.cells - 1; c >= 0; c-- {
		if p.owners[c] > 0 {
			return c + 1
		}
	}
	return 0
}

// Open takes a free id for an active, empty sequence; ok is false if there is none.
func (p *Pool) Open(agent string, now time.Time) (seq int, ok bool) {
	seq = slices.Index(p.seqs, nil)
	if seq < 0 {
		return 0, false
	}
	p.seqs[seq] = &Sequence{Agent: agent, Active: true, Used: now}
	return seq, true
}

// Activate makes an idle sequence active again, with all that it holds.
func (p *Pool) Activate(seq int, agent string, now time.Time) {
	s := p.mustBe(seq, false)
	s.Active, s.Agent, s.Used, s.charged = true, agent, now, 0
	for _, c := range s.cells {
		p.activate(c, 1)
	}
}

// Rest makes an active sequence idle: it stays hot.
func (p *Pool) Rest(seq int, now time.Time) {
	s := p.mustBe(seq, true)
	s.Active, s.Used = false, now
	for _, c := range s.cells {
		p.activate(c, -1)
	}
}

// Share gives dst src's cells of the first n tokens, in place of its own: what dst
// holds must be a prefix of these. So two sequences that share a cell share all
// before it.
func (p *Pool) Share(src, dst, n int) {
	from, to := p.must(src), p.must(dst)
	p.Truncate(dst, 0)
	for i, c := range from.cells[:n] {
		p.own(c, to, 1)
		to.cells = append(to.cells, c)
		to.Tokens = append(to.Tokens, from.Tokens[i])
	}
}

// Placement is a token that a step adds to a sequence.
type Placement struct {
	Seq   int
	Token Token
}

// Place gives the tokens of one step cells, in the order of its rows. There must
// be enough free ones.
func (p *Pool) Place(rows []Placement) {
	if len(rows) > p.Free() {
		panic(fmt.Sprintf("kv: %d rows for %d free cells", len(rows), p.Free()))
	}
	p.look(len(rows))
	for _, r := range rows {
		s := p.must(r.Seq)
		s.cells = append(s.cells, p.take(s))
		s.Tokens = append(s.Tokens, r.Token)
	}
}

// look begins a search for n free cells.
func (p *Pool) look(n int) {
	// llama_kv_cache::find_slot: rather begin again than leave much behind.
	if p.head > p.used+2*n {
		p.head = 0
	}
}

// take gives a sequence the next free cell.
func (p *Pool) take(s *Sequence) int32 {
	for p.head >= p.cells || p.owners[p.head] > 0 {
		if p.head++; p.head >= p.cells {
			p.head = 0
		}
	}
	cell := int32(p.head)
	p.own(cell, s, 1)
	p.head++
	return cell
}

// Restore gives tokens that are put back into a sequence cells, as Place does. order holds
// their indices in the order in which they get them; nil is that of the tokens.
func (p *Pool) Restore(seq int, tokens []Token, order []int) {
	if len(tokens) > p.Free() {
		panic(fmt.Sprintf("kv: %d tokens for %d free cells", len(tokens), p.Free()))
	}
	s := p.must(seq)
	at := len(s.cells)
	s.cells = append(s.cells, make([]int32, len(tokens))...)
	s.Tokens = append(s.Tokens, tokens...)
	p.look(len(tokens))
	for i := range tokens {
		if order != nil {
			i = order[i]
		}
		s.cells[at+i] = p.take(s)
	}
}

// Truncate keeps a sequence's first n tokens.
func (p *Pool) Truncate(seq, n int) {
	s := p.must(seq)
	lowest := p.cells
	for _, c := range s.cells[n:] {
		if p.own(c, s, -1); p.owners[c] == 0 {
			lowest = min(lowest, int(c))
		}
	}
	// What follows is not written over what was there: blocks that wait to be saved still
	// have it.
	s.cells, s.Tokens = s.cells[:n], s.Tokens[:n:n]
	p.head = min(p.head, lowest)
}

// Remove empties a sequence and frees its id.
func (p *Pool) Remove(seq int) {
	p.Truncate(seq, 0)
	p.seqs[seq] = nil
}

// Evict is Remove of an idle sequence that had to leave.
func (p *Pool) Evict(seq int) {
	p.mustBe(seq, false)
	p.Remove(seq)
	p.evictions++
}

// own adds (1) or takes (-1) s to or from the owners of a cell.
func (p *Pool) own(cell int32, s *Sequence, by int16) {
	before := p.owners[cell]
	p.owners[cell] += by
	p.used += crossed(before, p.owners[cell], 1)
	p.shared += crossed(before, p.owners[cell], 2)
	if s.Active {
		p.activate(cell, by)
	}
}

func (p *Pool) activate(cell int32, by int16) {
	before := p.active[cell]
	p.active[cell] += by
	p.pinned += crossed(before, p.active[cell], 1)
}

// crossed is 1 if a count has risen to line, -1 if it has fallen below it.
func crossed(before, after, line int16) int {
	switch {
	case before < line && after >= line:
		return 1
	case before >= line && after < line:
		return -1
	}
	return 0
}

func (p *Pool) must(seq int) *Sequence {
	s := p.seqs[seq]
	if s == nil {
		panic(fmt.Sprintf("kv: sequence %d is free", seq))
	}
	return s
}

func (p *Pool) mustBe(seq int, active bool) *Sequence {
	s := p.must(seq)
	if s.Active != active {
		panic(fmt.Sprintf("kv: sequence %d active: %t", seq, s.Active))
	}
	return s
}
