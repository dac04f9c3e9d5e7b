package prompt

import (
	"strings"
	"unicode/utf8"
)

// TextStream turns the bytes of sampled tokens into text that can be sent: it
// never splits a character, and holds back what may become a stop string. Its
// zero value is not ready; use NewTextStream.
type TextStream struct {
	stops   []string
	pending []byte // not yet sent: an open character or a stop string's start
	longest int
}

// NewTextStream returns a TextStream that looks for stops; empty ones are
// ignored.
func NewTextStream(stops []string) *TextStream {
	s := &TextStream{}
	for _, stop := range stops {
		if stop != "" {
			s.stops = append(s.stops, stop)
			s.longest = max(s.longest, len(stop))
		}
	}
	return s
}

// Push takes the bytes of the next token and returns the text that is sure. If
// a stop string is complete, the text ends before it, stop is the string, and
// the stream is at its end. Of several the one that starts first counts; of
// those the one listed first.
func (s *TextStream) Push(token []byte) (text, stop string, stopped bool) {
	s.pending = append(s.pending, token...)
	if at, found := s.findStop(); found != "" {
		text = strings.ToValidUTF8(string(s.pending[:at]), "\uFFFD")
		s.pending = nil
		return text, found, true
	}
	keep := max(openRune(s.pending), s.openStop())
	cut := len(s.pending) - keep
	// A held stop string may begin inside a character only if it is not UTF-8;
	// the character's bytes stay together all the same.
	for cut > 0 && cut < len(s.pending) && !utf8.RuneStart(s.pending[cut]) {
		cut--
	}
	text = strings.ToValidUTF8(string(s.pending[:cut]), "\uFFFD")
	s.pending = append(s.pending[:0], s.pending[cut:]...)
	return text, "", false
}

// Flush returns the rest at the end of the generation. A character that was
// never completed becomes U+FFFD.
func (s *TextStream) Flush() string {
	text := strings.ToValidUTF8(string(s.pending), "\uFFFD")
	s.pending = nil
	return text
}

// findStop returns the first stop string in what is pending, which is all that
// can contain one: text that was sent cannot be part of a match.
func (s *TextStream) findStop() (at int, stop string) {
	at = len(s.pending)
	for _, candidate := range s.stops {
		if i := strings.Index(string(s.pending), candidate); i >= 0 && (i < at || stop == "") {
			at, stop = i, candidate
		}
	}
	return at, stop
}

// openStop returns the length of the longest end of pending that begins a stop
// string.
func (s *TextStream) openStop() int {
	for n := min(s.longest-1, len(s.pending)); n > 0; n-- {
		end := string(s.pending[len(s.pending)-n:])
		for _, stop := range s.stops {
			if n < len(stop) && stop[:n] == end {
				return n
			}
		}
	}
	return 0
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
