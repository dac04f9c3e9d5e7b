package prompt

import (
	"fmt"
	"regexp"
	"strings"
)

// Bounds on a template's source. The largest that we know of has 40 kB.
const (
	maxSource  = 512 << 10
	maxNesting = 100
)

// kind says what a piece of a template's source is, by the letter that follows
// the brace.
type kind byte

const (
	kindText    kind = 0
	kindOutput  kind = '{'
	kindBlock   kind = '%'
	kindComment kind = '#'
)

// piece is a tag or the text between two tags, with its white space settled:
// marks are gone, text is what comes out.
type piece struct {
	kind kind
	text string
	line int
}

var endRaw = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*([-+]?)%\}`)

// pieces cuts a template's source and applies Jinja's rules of white space as
// transformers and llama.cpp set them up: trim_blocks and lstrip_blocks on, the
// last newline dropped. The Jinja library knows none of these, takes an
// apostrophe in a comment for the start of a string, trims past neighbouring
// tags, and looks for tags inside raw blocks.
//
// https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control
func pieces(src string) ([]piece, error) {
	if len(src) > maxSource {
		return nil, fmt.Errorf("it has %d bytes, at most %d are accepted", len(src), maxSource)
	}
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	s := scanner{src: src, line: 1}
	for s.at < len(src) {
		start := nextTag(src, s.at)
		if start < 0 {
			s.text(src[s.at:], 0, 0)
			break
		}
		if err := s.tag(start); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

type scanner struct {
	src  string
	at   int // everything before is done
	line int // of at
	out  []piece
	// after is how the last tag treats the text that follows it: '-' trims all
	// white space, 'n' one newline, 0 nothing.
	after byte
}

// text emits text between tags. mark is that of the tag that follows ('-', '+'
// or 0), next its kind (0: the template's end).
func (s *scanner) text(text string, mark byte, next kind) {
	lines := strings.Count(text, "\n")
	atLineStart := s.at == 0 || s.src[s.at-1] == '\n'
	switch {
	case s.after == '-':
		trimmed := strings.TrimLeft(text, whiteSpace)
		atLineStart = atLineStart || strings.Contains(text[:len(text)-len(trimmed)], "\n")
		text = trimmed
	case s.after == 'n' && strings.HasPrefix(text, "\n"):
		text, atLineStart = text[1:], true
	}
	switch {
	case mark == '-':
		text = strings.TrimRight(text, whiteSpace)
	case mark != '+' && (next == kindBlock || next == kindComment):
		text = stripIndent(text, atLineStart)
	}
	if text != "" {
		s.out = append(s.out, piece{kindText, text, s.line})
	}
	s.line += lines
}

const whiteSpace = " \t\n\r\v\f"

// stripIndent removes the white space between the last line's start and its
// end (lstrip_blocks). atLineStart says whether text begins a line.
func stripIndent(text string, atLineStart bool) string {
	cut := strings.TrimRight(text, " \t\r\v\f")
	if strings.HasSuffix(cut, "\n") || (cut == "" && atLineStart) {
		return cut
	}
	return text
}

// tag emits the text before the tag that opens at start, and the tag.
func (s *scanner) tag(start int) error {
	k := kind(s.src[start+1])
	inner := start + 2
	var mark byte
	if inner < len(s.src) && (s.src[inner] == '-' || s.src[inner] == '+') {
		mark = s.src[inner]
		inner++
	}
	s.text(s.src[s.at:start], mark, k)
	shut, err := tagShut(s.src, inner, k)
	if err != nil {
		return fmt.Errorf("line %d: %w", s.line, err)
	}
	body := s.src[inner:shut]
	s.after = 0
	if k != kindOutput {
		s.after = 'n'
	}
	if n := len(body); n > 0 && (body[n-1] == '-' || (body[n-1] == '+' && k != kindOutput)) {
		s.after = 0
		if body[n-1] == '-' {
			s.after = '-'
		}
		body = body[:n-1]
	}
	line := s.line
	s.line += strings.Count(s.src[start:shut], "\n")
	s.at = shut + 2
	if k == kindBlock && strings.TrimSpace(body) == "raw" {
		return s.raw(line)
	}
	if k != kindComment {
		s.out = append(s.out, piece{k, body, line})
	}
	return nil
}

// raw emits the text of a raw block, which begins at s.at.
func (s *scanner) raw(line int) error {
	m := endRaw.FindStringSubmatchIndex(s.src[s.at:])
	if m == nil {
		return fmt.Errorf("line %d: a raw block is never closed", line)
	}
	var mark byte
	if m[3] > m[2] {
		mark = s.src[s.at+m[2]]
	}
	s.text(s.src[s.at:s.at+m[0]], mark, kindBlock)
	s.line += strings.Count(s.src[s.at+m[0]:s.at+m[1]], "\n")
	s.after = 'n'
	switch s.src[s.at+m[4] : s.at+m[5]] {
	case "-":
		s.after = '-'
	case "+":
		s.after = 0
	}
	s.at += m[1]
	return nil
}

// nextTag returns where the next tag opens at or after from, or -1.
func nextTag(src string, from int) int {
	for i := from; i+1 < len(src); i++ {
		if src[i] == '{' && (src[i+1] == '{' || src[i+1] == '%' || src[i+1] == '#') {
			return i
		}
	}
	return -1
}

// tagShut returns where the closer of a tag of kind k stands whose body begins
// at start. Strings and brackets hide closers, but not in comments.
func tagShut(src string, start int, k kind) (int, error) {
	if k == kindComment {
		if n := strings.Index(src[start:], "#}"); n >= 0 {
			return start + n, nil
		}
		return 0, fmt.Errorf("a comment is never closed")
	}
	closer := string(rune(k)) + "}"
	if k == kindOutput {
		closer = "}}"
	}
	depth := 0
	for i := start; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\'' || c == '"':
			for i++; i < len(src) && src[i] != c; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		case depth == 0 && strings.HasPrefix(src[i:], closer):
			return i, nil
		case strings.IndexByte("([{", c) >= 0:
			if depth++; depth > maxNesting {
				return 0, fmt.Errorf("it nests more than %d brackets", maxNesting)
			}
		case strings.IndexByte(")]}", c) >= 0:
			depth = max(0, depth-1)
		}
	}
	return 0, fmt.Errorf("a tag is never closed")
}
