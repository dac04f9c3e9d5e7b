package kv

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Unix(1000, 0)

func at(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }

// put adds tokens to a sequence.
func put(p *Pool, seq int, tokens ...Token) {
	rows := make([]Placement, len(tokens))
	for i, t := range tokens {
		rows[i] = Placement{seq, t}
	}
	p.Place(rows)
}

func open(t *testing.T, p *Pool, tokens ...Token) int {
	seq, ok := p.Open("", now)
	require.True(t, ok)
	put(p, seq, tokens...)
	return seq
}

// check compares all counters with what the sequences say.
func check(t require.TestingT, p *Pool) {
	owners, active := map[int32]int{}, map[int32]int{}
	p.Sequences(func(_ int, s *Sequence) {
		require.Len(t, s.cells, len(s.Tokens))
		seen := map[int32]bool{}
		for _, c := range s.cells {
			require.False(t, seen[c], "a cell twice in one sequence")
			seen[c] = true
			owners[c]++
			if s.Active {
				active[c]++
			}
		}
	})
	shared, span := 0, 0
	for c, n := range owners {
		if n > 1 {
			shared++
		}
		span = max(span, int(c)+1)
	}
	require.Equal(t, len(owners), p.Used(), "used")
	require.Equal(t, shared, p.Shared(), "shared")
	require.Equal(t, len(active), p.Pinned(), "pinned")
	require.Equal(t, span, p.Span(), "span")
	require.Equal(t, p.Cells(), p.Used()+p.Free())
	require.Equal(t, p.Used(), p.Pinned()+p.Idle())
}

func TestSharedCellsCountOnce(t *testing.T) {
	p := NewPool(100, 4)
	a := open(t, p, 1, 2, 3, 4, 5)
	b := open(t, p)
	p.Share(a, b, 3)
	put(p, b, 9)
	require.Equal(t, 6, p.Used())
	require.Equal(t, 3, p.Shared())
	require.Equal(t, 3, p.SharedBy(a))
	require.Equal(t, []Token{1, 2, 3, 9}, p.Sequence(b).Tokens)
	p.Rest(a, at(1))
	require.Equal(t, 4, p.Pinned(), "what b has, though a rests")
	require.Equal(t, 2, p.Idle())
	check(t, p)
	p.Remove(b)
	require.Equal(t, 5, p.Used())
	check(t, p)
}

func TestSharingReplacesWhatWasComputedTwice(t *testing.T) {
	p := NewPool(100, 4)
	a := open(t, p, 1, 2, 3, 4, 5)
	b := open(t, p, 1, 2)
	p.Share(a, b, 4)
	require.Equal(t, 5, p.Used())
	require.Equal(t, []Token{1, 2, 3, 4}, p.Sequence(b).Tokens)
	check(t, p)
}

func TestLookup(t *testing.T) {
	p := NewPool(100, 5)
	_, ok := p.Open("empty", now)
	require.True(t, ok)
	a := open(t, p, 1, 2, 3, 4)
	b := open(t, p, 1, 2, 3)
	require.Equal(t, Match{Seq: a, Tokens: 4, Pinned: 4}, p.Lookup([]Token{1, 2, 3, 4, 5}, 5, false))
	require.Equal(t, Match{Seq: a, Tokens: 3, Pinned: 3}, p.Lookup([]Token{1, 2, 3, 4, 5}, 3, false))
	require.Zero(t, p.Lookup([]Token{1, 2, 3, 4, 5}, 5, true).Tokens, "both are at work")
	p.Rest(b, at(1))
	require.Equal(t, Match{Seq: b, Tokens: 3, Whole: true}, p.Lookup([]Token{1, 2, 3, 7}, 3, false), "the whole one first")
	require.Equal(t, Match{Seq: b, Tokens: 3, Whole: true}, p.Lookup([]Token{1, 2, 3, 4}, 4, true))
	require.Zero(t, p.Lookup([]Token{7}, 1, false))
	require.Zero(t, p.Lookup(nil, 0, false))
}

func TestEvictionTakesTheLeastRecentlyUsedAndNoMoreThanNeeded(t *testing.T) {
	p := NewPool(20, 4)
	var seqs []int
	for i := range 3 {
		seq := open(t, p, Token(10*i), Token(10*i+1), Token(10*i+2), Token(10*i+3), Token(10*i+4))
		seqs = append(seqs, seq)
	}
	p.Rest(seqs[1], at(1))
	p.Rest(seqs[0], at(2))
	plan := func(cells int, id bool, keep int) []int {
		victims, ok := p.PlanEviction(cells, id, keep)
		require.True(t, ok)
		return victims
	}
	require.Empty(t, plan(5, true, NoSequence))
	require.Equal(t, []int{seqs[1]}, plan(6, false, NoSequence))
	require.Equal(t, []int{seqs[0]}, plan(6, false, seqs[1]))
	require.Equal(t, []int{seqs[1], seqs[0]}, plan(11, false, NoSequence))
	_, ok := p.PlanEviction(16, false, NoSequence)
	require.False(t, ok, "an active one never leaves")

	fork, _ := p.Open("", at(3))
	p.Share(seqs[1], fork, 5)
	require.Equal(t, []int{seqs[1]}, plan(0, true, NoSequence), "an id is needed")
	require.Equal(t, []int{seqs[1], seqs[0]}, plan(6, false, NoSequence), "shared cells do not become free")
	p.Rest(fork, at(4))
	p.Evict(seqs[1])
	require.Equal(t, 15, p.Used())
	require.EqualValues(t, 1, p.Evictions())
	check(t, p)
}

func TestIdleSequencesLeaveWhenTheyHaveCostTheirReturn(t *testing.T) {
	p := NewPool(100, 4)
	a, b := open(t, p, 1, 2, 3, 4), open(t, p, 5, 6)
	price := Prices{SkipCell: time.Microsecond, Return: 10 * time.Microsecond}
	require.Empty(t, p.Charge(1000, price), "active ones cost nothing")
	p.Rest(a, at(1))
	require.Empty(t, p.Charge(10, price))
	require.Equal(t, []int{a}, p.Charge(1, price))
	p.Activate(a, "x", at(2))
	p.Rest(a, at(3))
	require.Empty(t, p.Charge(5, price), "what it owed is forgotten once it was of use")
	_ = b
}

func TestCompaction(t *testing.T) {
	p := NewPool(100, 6)
	gone := open(t, p, slices.Repeat([]Token{7}, 40)...)
	a := open(t, p, 1, 2, 3, 4, 5)
	b := open(t, p)
	p.Share(a, b, 3)
	put(p, b, 8, 9)
	c := open(t, p)
	p.Share(b, c, 4)
	put(p, c, 6)
	price := Prices{SkipCell: time.Microsecond, MoveCell: time.Microsecond}
	require.False(t, p.ShouldCompact(1000, price), "no holes")
	p.Remove(gone)
	require.Equal(t, 48, p.Span())
	require.False(t, p.ShouldCompact(0, price))
	require.True(t, p.ShouldCompact(1000, price))

	moves := p.PlanCompaction()
	require.Equal(t, []Move{{a, 0, 5, NoSequence}, {b, 3, 5, a}, {c, 4, 5, b}}, moves)
	p.Compacted(moves)
	require.Equal(t, 8, p.Span())
	require.Equal(t, []Token{1, 2, 3, 8, 6}, p.Sequence(c).Tokens)
	check(t, p)
	put(p, a, 10)
	check(t, p)
}

// TestRandomLife drives a pool as a worker does and checks every counter after
// every step.
func TestRandomLife(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			p := NewPool(200, 8)
			for i := range 400 {
				randomStep(t, p, rnd, at(i))
				check(t, p)
			}
		})
	}
}

func randomStep(t *testing.T, p *Pool, rnd *rand.Rand, now time.Time) {
	seq := rnd.IntN(8)
	s := p.Sequence(seq)
	switch {
	case s == nil:
		prompt := make([]Token, 1+rnd.IntN(40))
		for i := range prompt {
			prompt[i] = Token(rnd.IntN(2))
		}
		m := p.Lookup(prompt, len(prompt), false)
		victims, ok := p.PlanEviction(len(prompt), true, m.Seq)
		if !ok {
			return
		}
		for _, v := range victims {
			p.Evict(v)
		}
		require.GreaterOrEqual(t, p.Free(), len(prompt))
		at, ok := p.Open("", now)
		require.True(t, ok)
		if m.Tokens > 0 && p.Sequence(m.Seq) != nil {
			p.Share(m.Seq, at, m.Tokens)
		}
		put(p, at, prompt[len(p.Sequence(at).Tokens):]...)
		require.Equal(t, prompt, p.Sequence(at).Tokens)
	case s.Active && rnd.IntN(3) == 0:
		p.Rest(seq, now)
	case s.Active && p.Free() > 0:
		put(p, seq, Token(rnd.IntN(2)))
	case !s.Active && rnd.IntN(3) == 0:
		p.Activate(seq, "", now)
	case rnd.IntN(4) == 0:
		p.Truncate(seq, rnd.IntN(len(s.Tokens)+1))
	case rnd.IntN(4) == 0:
		p.Compacted(p.PlanCompaction())
		require.Equal(t, p.Used(), p.Span())
	default:
		p.Remove(seq)
	}
}
