package kv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	p := NewPool(100, 4)
	a := open(t, p, 1, 2, 3, 4, 5)
	b := open(t, p)
	require.Nil(t, p.Places(b, 9))
	p.Share(a, b, 3)
	put(p, b, 9, 9)
	put(p, a, 6, 7)
	require.Equal(t, [][2]int{{0, 5}, {7, 2}}, p.Places(a, 9))
	require.Equal(t, [][2]int{{0, 3}, {5, 2}}, p.Places(b, 9))
	require.Equal(t, [][2]int{{0, 3}}, p.SharedPlaces(9))
	p.Remove(a)
	require.Nil(t, p.SharedPlaces(9))
	require.Equal(t, [][2]int{{0, 3}, {5, 2}}, p.Places(b, 9), "it has what was shared still")
	put(p, b, 8, 8, 8)
	require.Equal(t, [][2]int{{0, 8}}, p.Places(b, 9), "what became free is taken first, and joined")
}

func TestPlacesAreBounded(t *testing.T) {
	runs := [][2]int{{0, 1}, {3, 1}, {5, 2}, {20, 1}, {22, 1}}
	require.Equal(t, runs, merge(slices.Clone(runs), 5))
	require.Equal(t, [][2]int{{0, 1}, {3, 1}, {5, 2}, {20, 3}}, merge(slices.Clone(runs), 4))
	require.Equal(t, [][2]int{{0, 7}, {20, 3}}, merge(slices.Clone(runs), 2))
	require.Equal(t, [][2]int{{0, 23}}, merge(slices.Clone(runs), 1))
}

// Ranges that overlap once they are merged are not taken for shared cells.
func TestGrowingSideBySideSharesNothing(t *testing.T) {
	p := NewPool(100, 4)
	a, b := open(t, p), open(t, p)
	for i := range 10 {
		put(p, a, Token(i))
		put(p, b, Token(i))
	}
	require.Equal(t, [][2]int{{0, 19}}, p.Places(a, 1))
	require.Equal(t, [][2]int{{1, 19}}, p.Places(b, 1))
	require.Nil(t, p.SharedPlaces(1))
	c := open(t, p)
	p.Share(a, c, 2)
	require.Equal(t, [][2]int{{0, 1}, {2, 1}}, p.SharedPlaces(9))
	require.Equal(t, [][2]int{{0, 3}}, p.SharedPlaces(1))
}

// What comes back lies in the order that it was taken in.
func TestARestoredOrder(t *testing.T) {
	p := NewPool(100, 4)
	a := open(t, p)
	p.Restore(a, []Token{1, 2, 3, 4}, []int{2, 3, 0, 1})
	require.Equal(t, []Token{1, 2, 3, 4}, p.Sequence(a).Tokens)
	p.Truncate(a, 3)
	require.Equal(t, [][2]int{{0, 1}, {2, 2}}, p.Places(a, 9))
	check(t, p)
	p.Compacted(p.PlanCompaction())
	require.Equal(t, [][2]int{{0, 3}}, p.Places(a, 9))
	p.Truncate(a, 1)
	require.Equal(t, [][2]int{{1, 1}}, p.Places(a, 9), "compaction keeps the order of cells")
	check(t, p)
}

func TestAnAbortedStepMovesTheHeadOnly(t *testing.T) {
	p := NewPool(10, 4)
	a, b := open(t, p, 1, 2), open(t, p, 3, 4)
	put(p, a, 5)
	p.Truncate(b, 1) // cell 3 is free, the head there
	put(p, a, 6)     // and taken
	p.Undone([]Placement{{a, 7}, {b, 7}, {b, 8}})
	require.Equal(t, 5, p.Used())
	check(t, p)
	put(p, b, 9)
	require.Equal(t, [][2]int{{2, 1}, {5, 1}}, p.Places(b, 9))
}

func TestWhatIsNotKnownIsNotTold(t *testing.T) {
	p := NewPool(10, 2)
	p.Besides()
	a := open(t, p, 1, 2)
	require.NotNil(t, p.Places(a, 9), "it was used while the account was empty, and its head at the beginning")
	p.Besides()
	require.Nil(t, p.Places(a, 9))
}

// Places cover a sequence's cells and nothing else, unless there are too many.
func TestPlacesCoverACellsSequence(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	p := NewPool(200, 6)
	var seqs []int
	for range 4 {
		seqs = append(seqs, open(t, p))
	}
	for range 300 {
		seq := seqs[r.IntN(4)]
		if len(p.Sequence(seq).Tokens) > 0 && (r.IntN(3) == 0 || p.Free() < 8) {
			p.Truncate(seq, r.IntN(len(p.Sequence(seq).Tokens)))
		} else if p.Free() >= 8 {
			put(p, seq, make([]Token, 1+r.IntN(8))...)
		}
		var want, got []int
		for _, c := range p.seqs[seq].cells {
			want = append(want, int(c))
		}
		for _, run := range p.Places(seq, 200) {
			for i := range run[1] {
				got = append(got, run[0]+i)
			}
		}
		slices.Sort(want)
		require.Equal(t, want, got)
		require.LessOrEqual(t, len(p.Places(seq, 3)), 3)
	}
}

// Many sequences that grow side by side have a cell each in turn.
func BenchmarkPlaces(b *testing.B) {
	const sequences = 16
	p := NewPool(16384, sequences)
	rows := make([]Placement, sequences)
	for i := range rows {
		seq, _ := p.Open("", now)
		rows[i] = Placement{seq, 1}
	}
	for range 1000 {
		p.Place(rows)
	}
	b.ReportAllocs()
	for b.Loop() {
		for seq := range sequences {
			p.Places(seq, 64)
		}
	}
}
