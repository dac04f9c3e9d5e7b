package prompt

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a token of an expression or a statement.
type token struct {
	// kind is 'n' for names, '0' for numbers, 's' for strings, 'o' for the rest.
	kind byte
	// text is the token's source; of a string, its value.
	text string
}

// tokens cuts the body of a tag.
func tokens(body string) ([]token, error) {
	var out []token
	for i := 0; i < len(body); {
		c := body[i]
		switch {
		case strings.IndexByte(whiteSpace, c) >= 0:
			i++
		case c == '\'' || c == '"':
			value, end, err := unquote(body, i)
			if err != nil {
				return nil, err
			}
			// As in Python, neighbouring strings are one.
			if n := len(out); n > 0 && out[n-1].kind == 's' {
				out[n-1].text += value
			} else {
				out = append(out, token{'s', value})
			}
			i = end
		case c >= '0' && c <= '9':
			start := i
			for i < len(body) && (isWord(body[i]) || (body[i] == '.' && i+1 < len(body) && body[i+1] >= '0' && body[i+1] <= '9')) {
				i++
			}
			out = append(out, token{'0', strings.ReplaceAll(body[start:i], "_", "")})
		case isWord(c):
			start := i
			for i < len(body) && isWord(body[i]) {
				i++
			}
			out = append(out, token{'n', body[start:i]})
		default:
			n := 1
			if i+1 < len(body) && strings.Contains(" ** // == != <= >= ", " "+body[i:i+2]+" ") {
				n = 2
			}
			if n == 1 && strings.IndexByte(",.:()[]{}|~+-*/%<>=", c) < 0 {
				return nil, fmt.Errorf("%q has no meaning there", body[i:min(i+8, len(body))])
			}
			out = append(out, token{'o', body[i : i+n]})
			i += n
		}
	}
	return out, nil
}

func isWord(c byte) bool {
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
}

// unquote reads the Python string that opens at start; end is after its quote.
func unquote(body string, start int) (value string, end int, err error) {
	var b strings.Builder
	quote := body[start]
	for i := start + 1; i < len(body); i++ {
		c := body[i]
		if c == quote {
			return b.String(), i + 1, nil
		}
		if c != '\\' || i+1 == len(body) {
			b.WriteByte(c)
			continue
		}
		i++
		if at := strings.IndexByte("abfnrtv\\'\"\n", body[i]); at >= 0 {
			b.WriteString([]string{"\a", "\b", "\f", "\n", "\r", "\t", "\v", "\\", "'", "\"", ""}[at])
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[body[i]]
		if digits > 0 && i+digits < len(body) {
			if n, err := strconv.ParseUint(body[i+1:i+1+digits], 16, 32); err == nil && utf8.ValidRune(rune(n)) {
				b.WriteRune(rune(n))
				i += digits
				continue
			}
		}
		b.WriteByte('\\')
		b.WriteByte(body[i])
	}
	return "", 0, fmt.Errorf("a string is never closed")
}

var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// quote writes a string as the library reads it.
func quote(value string) string { return `"` + quoter.Replace(value) + `"` }

// join writes tokens as source again.
func joinTokens(list []token) string {
	var b strings.Builder
	for i, t := range list {
		dot := t.text == "." || (i > 0 && list[i-1].text == "." && list[i-1].kind == 'o')
		if i > 0 && (!dot || t.kind == 's') {
			b.WriteByte(' ')
		}
		if t.kind == 's' {
			b.WriteString(quote(t.text))
		} else {
			b.WriteString(t.text)
		}
	}
	return b.String()
}
