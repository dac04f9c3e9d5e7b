package download

import (
	"encoding/json"
	"errors"
	"slices"
)

// A span is the bytes [from, to) of a file. In JSON it is [from, to].
type span struct{ from, to int64 }

func (s span) len() int64 { return s.to - s.from }

func (s span) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{s.from, s.to}) }

func (s *span) UnmarshalJSON(data []byte) error {
	var pair []int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return errors.New("a span is two numbers")
	}
	s.from, s.to = pair[0], pair[1]
	return nil
}

// spans are bytes of a file: sorted, none empty, and some byte missing between any two.
type spans []span

// with returns the spans with one more; they may be changed.
func (s spans) with(x span) spans {
	if x.from >= x.to {
		return s
	}
	// The first that x touches, and the first behind those that it touches.
	i, _ := slices.BinarySearchFunc(s, x.from, func(e span, at int64) int { return order(e.to, at) })
	j := i
	for j < len(s) && s[j].from <= x.to {
		x.from, x.to = min(x.from, s[j].from), max(x.to, s[j].to)
		j++
	}
	return slices.Replace(s, i, j, x)
}

func order(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// sum is how many bytes they are.
func (s spans) sum() (n int64) {
	for _, e := range s {
		n += e.len()
	}
	return n
}

// frontier is where the first missing byte is.
func (s spans) frontier() int64 {
	if len(s) == 0 || s[0].from > 0 {
		return 0
	}
	return s[0].to
}

// gap is the first run of missing bytes of a file; it is empty if there is none.
func (s spans) gap(size int64) span {
	from := s.frontier()
	for _, e := range s {
		if e.from > from {
			return span{from, min(e.from, size)}
		}
	}
	return span{min(from, size), size}
}

// valid says whether they are spans of a file that long.
func (s spans) valid(size int64) bool {
	last := int64(-1)
	for _, e := range s {
		if e.from <= last || e.to <= e.from || e.to > size {
			return false
		}
		last = e.to
	}
	return true
}

// until returns what of them is before an offset.
func (s spans) until(end int64) spans {
	var out spans
	for _, e := range s {
		out = out.with(span{e.from, min(e.to, end)})
	}
	return out
}
