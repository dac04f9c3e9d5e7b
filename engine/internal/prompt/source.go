package prompt

import (
	"fmt"
	"strings"
)

// Bounds on a template's source. The largest that we know of has 40 kB.
const (
	maxSource  = 512 << 10
	maxNesting = 200
)

// normalise rewrites a template's source so that the Jinja library, which knows
// neither, treats it as Hugging Face and llama.cpp do: trim_blocks and
// lstrip_blocks on, a trailing newline dropped. It also empties comments, whose
// apostrophes the library takes for the start of a string.
//
// https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control
func normalise(src string) (string, error) {
	if len(src) > maxSource {
		return "", fmt.Errorf("it has %d bytes, at most %d are accepted", len(src), maxSource)
	}
	src = strings.TrimSuffix(strings.ReplaceAll(src, "\r\n", "\n"), "\n")
	var out strings.Builder
	for {
		start := nextTag(src)
		if start < 0 {
			out.WriteString(src)
			return out.String(), nil
		}
		kind := src[start+1]
		text := src[:start]
		end, err := tagEnd(src, start)
		if err != nil {
			return "", err
		}
		tag := src[start:end]
		src = src[end:]
		if kind == '{' {
			out.WriteString(text)
			out.WriteString(tag)
			continue
		}
		// A block or a comment.
		open, body, shut := tag[:2], tag[2:len(tag)-2], tag[len(tag)-2:]
		keepLeft, keepRight := strings.HasPrefix(body, "+"), strings.HasSuffix(body, "+") && len(body) > 1
		body = strings.TrimPrefix(body, "+")
		if keepRight {
			body = strings.TrimSuffix(body, "+")
		}
		if !keepLeft {
			text = stripIndent(text, out.Len() == 0 || strings.HasSuffix(out.String(), "\n"))
		}
		if !keepRight {
			src = strings.TrimPrefix(src, "\n")
		}
		if kind == '#' {
			body = commentMarks(body)
		}
		out.WriteString(text)
		if kind != '#' || body != "" {
			out.WriteString(open + body + shut)
		}
	}
}

// nextTag returns where the next tag opens, or -1.
func nextTag(src string) int {
	for i := 0; i+1 < len(src); i++ {
		if src[i] == '{' && (src[i+1] == '{' || src[i+1] == '%' || src[i+1] == '#') {
			return i
		}
	}
	return -1
}

// tagEnd returns where the tag that opens at start ends. Quoted strings hide
// closers, but not in comments.
func tagEnd(src string, start int) (int, error) {
	kind := src[start+1]
	if kind == '#' {
		if n := strings.Index(src[start+2:], "#}"); n >= 0 {
			return start + 2 + n + 2, nil
		}
		return 0, fmt.Errorf("a comment is never closed: %.40q", src[start:])
	}
	closer := "%}"
	if kind == '{' {
		closer = "}}"
	}
	depth := 0
	for i := start + 2; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\'' || c == '"':
			for i++; i < len(src) && src[i] != c; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		case depth == 0 && strings.HasPrefix(src[i:], closer):
			return i + 2, nil
		case strings.IndexByte("([{", c) >= 0:
			if depth++; depth > maxNesting {
				return 0, fmt.Errorf("it nests more than %d brackets", maxNesting)
			}
		case strings.IndexByte(")]}", c) >= 0:
			depth = max(0, depth-1)
		}
	}
	return 0, fmt.Errorf("a tag is never closed: %.40q", src[start:])
}

// stripIndent removes the white space between the last line's start and its
// end (lstrip_blocks). atLineStart says whether text begins a line.
func stripIndent(text string, atLineStart bool) string {
	cut := strings.TrimRight(text, " \t")
	if strings.HasSuffix(cut, "\n") || (cut == "" && atLineStart) {
		return cut
	}
	return text
}

// commentMarks keeps of a comment's body only what controls white space.
func commentMarks(body string) string {
	left := strings.HasPrefix(body, "-")
	right := len(body) > 1 && strings.HasSuffix(body, "-")
	switch {
	case left && right:
		return "--"
	case left:
		return "- "
	case right:
		return " -"
	default:
		return ""
	}
}
