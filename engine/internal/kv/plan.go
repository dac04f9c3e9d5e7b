package kv

import (
	"cmp"
	"slices"
	"time"
)

// Match is the longest prefix of a prompt that the pool holds.
type Match struct {
	// Seq holds it, Tokens is its length; 0 if nothing matches.
	Seq, Tokens int
	// Whole says that it is all that the sequence holds, and that the sequence is
	// idle: it can be continued as it is.
	Whole bool
	// Pinned is how many of the matching cells are pinned already.
	Pinned int
}

// Lookup finds the longest match for the first most tokens of a prompt. Equally
// long ones: a whole one first, then the most recently used. wholeOnly leaves out
// all but whole ones, for models whose state cannot be cut.
func (p *Pool) Lookup(prompt []Token, most int, wholeOnly bool) Match {
	var best Match
	var bestUsed time.Time
	for seq, s := range p.seqs {
		if s == nil {
			continue
		}
		n := CommonPrefix(s.Tokens, prompt[:most])
		whole := n == len(s.Tokens) && !s.Active
		if n == 0 || wholeOnly && !whole {
			continue
		}
		better := cmp.Or(cmp.Compare(n, best.Tokens), compareBool(whole, best.Whole), s.Used.Compare(bestUsed))
		if better > 0 {
			best, bestUsed = Match{Seq: seq, Tokens: n, Whole: whole}, s.Used
		}
	}
	if best.Tokens > 0 {
		for _, c := range p.seqs[best.Seq].cells[:best.Tokens] {
			if p.active[c] > 0 {
				best.Pinned++
			}
		}
	}
	return best
}

// CommonPrefix returns how many leading tokens both have in common.
func CommonPrefix(a, b []Token) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// idle returns the idle sequences, but keep, the least recently used first.
func (p *Pool) idle(keep int) []int {
	var seqs []int
	for seq, s := range p.seqs {
		if s != nil && !s.Active && seq != keep {
			seqs = append(seqs, seq)
		}
	}
	slices.SortStableFunc(seqs, func(a, b int) int { return p.seqs[a].Used.Compare(p.seqs[b].Used) })
	return seqs
}

// NoSequence is a sequence that is none.
const NoSequence = -1

// PlanEviction returns the idle sequences that have to leave, least recently used
// first, so that at least cells are free and an id, too, if one is needed. Cells
// that others share do not become free. keep stays; NoSequence keeps none. ok is
// false if even all of them do not suffice.
func (p *Pool) PlanEviction(cells int, id bool, keep int) (victims []int, ok bool) {
	free := p.Free()
	id = id && !slices.Contains(p.seqs, nil)
	if free >= cells && !id {
		return nil, true
	}
	left := map[int32]int16{} // owners of cells that victims share
	for _, seq := range p.idle(keep) {
		victims = append(victims, seq)
		id = false
		for _, c := range p.seqs[seq].cells {
			n, seen := left[c]
			if !seen {
				n = p.owners[c]
			}
			left[c] = n - 1
			if n == 1 {
				free++
			}
		}
		if free >= cells {
			return victims, !id
		}
	}
	return victims, free >= cells && !id
}

// Prices are what the plans reckon with.
type Prices struct {
	// SkipCell is what one used cell that a row does not attend to adds to a step.
	SkipCell time.Duration
	// Return is what bringing one token back costs: prefilling it again, or reading
	// it where it is kept.
	Return time.Duration
	// MoveCell is what moving one token's KV within the pool costs.
	MoveCell time.Duration
}

// Charge adds to each idle sequence what it has cost the steps of others, and
// returns those that have cost more than their return would: they should leave.
func (p *Pool) Charge(steps int, price Prices) []int {
	var due []int
	for seq, s := range p.seqs {
		if s == nil || s.Active {
			continue
		}
		own := 0 // cells that would become free, and those to bring back
		for _, c := range s.cells {
			if p.owners[c] == 1 {
				own++
			}
		}
		s.charged += time.Duration(own*steps) * price.SkipCell
		if own > 0 && s.charged > time.Duration(own)*price.Return {
			due = append(due, seq)
		}
	}
	return due
}

// ShouldCompact says whether moving all that the pool holds to its beginning is
// repaid by the steps ahead, with a margin of two.
func (p *Pool) ShouldCompact(stepsAhead int, price Prices) bool {
	holes := p.Span() - p.used
	saved := time.Duration(holes*stepsAhead) * price.SkipCell
	return holes > 0 && saved > 2*time.Duration(p.used)*price.MoveCell
}

// Move is a part of a sequence on its way through a compaction: taken out, and put
// back in the same order. Tokens before From come back with sequence With.
type Move struct {
	Seq, From, To int
	With          int // NoSequence if From is 0
}

// PlanCompaction returns all parts, each cell once, so that putting them back into
// an emptied pool, in order, makes the same sequences without a hole.
func (p *Pool) PlanCompaction() []Move {
	var moves []Move
	home := map[int32]int{} // cell → sequence that brings it back
	for seq, s := range p.seqs {
		if s == nil || len(s.cells) == 0 {
			continue
		}
		m := Move{Seq: seq, To: len(s.cells), With: NoSequence}
		for m.From < len(s.cells) {
			owner, known := home[s.cells[m.From]]
			if !known {
				break
			}
			// The owner of the last shared cell has all before it as well.
			m.With = owner
			m.From++
		}
		for _, c := range s.cells[m.From:] {
			home[c] = seq
		}
		moves = append(moves, m)
	}
	return moves
}

// Compacted tells the pool that a compaction was done as planned: all sequences were
// emptied, and what each move brings was put back at once. A state comes in the order of
// the cells that it was taken from (state_write).
func (p *Pool) Compacted(moves []Move) {
	before := make([]Sequence, len(moves))
	for i, m := range moves {
		s := p.must(m.Seq)
		before[i] = Sequence{Tokens: s.Tokens, cells: slices.Clone(s.cells)}
	}
	for _, m := range moves {
		p.Truncate(m.Seq, 0)
	}
	for i, m := range moves {
		if m.From > 0 {
			p.Share(m.With, m.Seq, m.From)
		}
		if m.From == m.To {
			continue
		}
		cells := before[i].cells[m.From:m.To]
		order := make([]int, len(cells))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(cells[a], cells[b]) })
		p.Restore(m.Seq, before[i].Tokens[m.From:m.To], order)
	}
	p.compactions++
}
