package kv

import "slices"

// Places returns where a sequence's cells are in the pool, ascending, in at most so many
// runs, each a start and a length: where there are more, the smallest gaps between them
// are counted in. It is nil if that is not known.
func (p *Pool) Places(seq, most int) [][2]int {
	s := p.must(seq)
	if p.unsure || len(s.cells) == 0 {
		return nil
	}
	// Neighbours come mostly one after the other; what is left to sort is short.
	runs := p.runs[:0]
	for _, c := range s.cells {
		runs = extend(runs, [2]int{int(c), 1})
	}
	slices.SortFunc(runs, func(a, b [2]int) int { return a[0] - b[0] })
	p.runs = runs
	joined := runs[:0]
	for _, r := range runs {
		joined = extend(joined, r)
	}
	return merge(joined, most)
}

// SharedPlaces returns where the cells are that more than one sequence has, as Places does.
// Ranges of sequences that grew side by side overlap once they are merged, though they
// share nothing.
func (p *Pool) SharedPlaces(most int) [][2]int {
	if p.unsure || p.shared == 0 {
		return nil
	}
	runs := p.runs[:0]
	for c, n := range p.owners {
		if n > 1 {
			runs = extend(runs, [2]int{c, 1})
		}
	}
	p.runs = runs
	return merge(runs, most)
}

// extend appends a run, to the last one if it goes on with it.
func extend(runs [][2]int, r [2]int) [][2]int {
	if n := len(runs); n > 0 && runs[n-1][0]+runs[n-1][1] == r[0] {
		runs[n-1][1] += r[1]
		return runs
	}
	return append(runs, r)
}

// merge returns the runs, joined over the smallest gaps until there are at most so many.
func merge(runs [][2]int, most int) [][2]int {
	if len(runs) <= most {
		return slices.Clone(runs)
	}
	gap := func(i int) int { return runs[i][0] - runs[i-1][0] - runs[i-1][1] } // before run i
	// The widest gaps stay, most - 1 of them; here in ascending order. There are many runs
	// only where sequences grow side by side, with gaps that are nearly all as small.
	kept := make([]int, 0, most)
	for i := 1; i < len(runs); i++ {
		if len(kept) == most-1 && (most == 1 || gap(i) <= gap(kept[0])) {
			continue
		}
		at, _ := slices.BinarySearchFunc(kept, gap(i), func(k, g int) int { return gap(k) - g })
		if kept = slices.Insert(kept, at, i); len(kept) == most {
			kept = slices.Delete(kept, 0, 1)
		}
	}
	slices.Sort(kept)
	merged := make([][2]int, 0, most)
	from := 0
	for _, i := range append(kept, len(runs)) {
		first, last := runs[from], runs[i-1]
		merged = append(merged, [2]int{first[0], last[0] + last[1] - first[0]})
		from = i
	}
	return merged
}

// Unsure says that it is not known any more where cells are: llama.cpp's pool was used in
// a way that is not accounted here.
func (p *Pool) Unsure() { p.unsure = true }

// Besides tells that llama.cpp's pool was used beside the account while that was empty, and
// emptied again: where it looks for cells next is known only if that was at the beginning.
func (p *Pool) Besides() {
	if p.used > 0 || p.head > 0 {
		p.Unsure()
	}
}

// Undone tells that rows were placed, as Place has it, and taken back, as those of a step
// that was aborted.
func (p *Pool) Undone(rows []Placement) {
	n := map[int]int{}
	for _, r := range rows {
		if _, known := n[r.Seq]; !known {
			n[r.Seq] = len(p.must(r.Seq).cells)
		}
	}
	p.Place(rows)
	for seq, keep := range n {
		p.Truncate(seq, keep)
	}
}
