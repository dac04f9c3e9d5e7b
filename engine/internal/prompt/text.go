package prompt

import (
	"strings"
	"unicode/utf8"
)

// TextStream turns the bytes of sampled tokens into text that can be sent: it
// never splits a character, and holds back what may become a stop string. Its
// zero value is not ready; use NewTextStream.
//
// The stop string that completes first ends the text; of several that complete
// with the same byte, the longest. How the bytes are cut into tokens makes no
// difference. Each byte is looked at once for each stop string.
//
// Each byte that cannot belong to a character becomes one U+FFFD, at once.
type TextStream struct {
	stops   []stopMatcher
	pending []byte // not yet sent: an open character or a stop string's start
	ended   bool
}

// stopMatcher finds one stop string by Knuth, Morris and Pratt.
type stopMatcher struct {
	stop string
	// border[n] is the length of the longest proper prefix of stop[:n] that is
	// its suffix, too.
	border []int
	// matched is how much of stop the text so far ends with.
	matched int
}

// NewTextStream returns a TextStream that looks for stops; empty ones are
// ignored.
func NewTextStream(stops []string) *TextStream {
	s := &TextStream{}
	for _, stop := range stops {
		if stop != "" {
			s.stops = append(s.stops, newStopMatcher(stop))
		}
	}
	return s
}

func newStopMatcher(stop string) stopMatcher {
	border := make([]int, len(stop)+1)
	for n, b := 1, 0; n < len(stop); n++ {
		for b > 0 && stop[n] != stop[b] {
			b = border[b]
		}
		if stop[n] == stop[b] {
			b++
		}
		border[n+1] = b
	}
	return stopMatcher{stop: stop, border: border}
}

// next takes a byte and says whether stop is complete with it.
func (m *stopMatcher) next(c byte) bool {
	for m.matched > 0 && m.stop[m.matched] != c {
		m.matched = m.border[m.matched]
	}
	if m.stop[m.matched] == c {
		m.matched++
	}
	return m.matched == len(m.stop)
}

// Push takes the bytes of the next token and returns the text that is sure. If
// a stop string is complete, the text ends before it, stop is the string, and
// the stream is at its end: whatever is pushed later is ignored.
func (s *TextStream) Push(token []byte) (text, stop string, stopped bool) {
	if s.ended {
		return "", "", false
	}
	for _, c := range token {
		s.pending = append(s.pending, c)
		for i := range s.stops {
			if m := &s.stops[i]; m.next(c) && len(m.stop) > len(stop) {
				stop, stopped = m.stop, true
			}
		}
		if stopped {
			text = valid(s.pending[:len(s.pending)-len(stop)])
			s.pending, s.ended = nil, true
			return text, stop, true
		}
	}
	keep := openRune(s.pending)
	for i := range s.stops {
		keep = max(keep, s.stops[i].matched)
	}
	cut := len(s.pending) - keep
	// A stop string that does not begin with a whole character must not split one.
	for back := 0; back < utf8.UTFMax-1 && cut > 0 && cut < len(s.pending) && !utf8.RuneStart(s.pending[cut]); back++ {
		cut--
	}
	text = valid(s.pending[:cut])
	s.pending = append(s.pending[:0], s.pending[cut:]...)
	return text, "", false
}

// Flush returns the rest at the end of the generation. A character that was
// never completed becomes one U+FFFD.
func (s *TextStream) Flush() string {
	open := openRune(s.pending)
	text := valid(s.pending[:len(s.pending)-open])
	if open > 0 {
		text += string(utf8.RuneError)
	}
	s.pending, s.ended = nil, true
	return text
}

// valid returns b as text, with U+FFFD for each byte that is part of no character.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// openRune returns the length of the unfinished character at the end of b, 0
// if there is none. Bytes that can never become a character are not unfinished.
func openRune(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		end := b[len(b)-n:]
		if utf8.RuneStart(end[0]) {
			if !utf8.FullRune(end) {
				return n
			}
			return 0
		}
	}
	return 0
}
