package agents

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"samovar/engine/infer"
)

// shown is how many bytes of text an explanation shows of each side.
const shown = 60

// explain says where a prompt parts from a conversation, whose first n tokens it has.
func (r *Registry) explain(was []Token, p Prompt, n int) *infer.Miss {
	m := &infer.Miss{Reason: infer.MissChanged, Tokens: min(len(was), len(p.Tokens)) - n}
	begun := unfinished(r.render(p.Tokens[:n])) // tokens may part within a character
	before, now := begun+r.render(was[n:]), begun+r.render(p.Tokens[n:])
	at, both := r.inText(p, n)-len(begun), alike(before, now)
	retold := both == len(before) || both == len(now) // the text is the same as far as it goes
	if !retold {
		at += both // tokens part before texts do
		m.Old, m.New = cut(before[both:]), cut(now[both:])
	}
	m.Message, m.Offset = locate(p, at)
	where := "The prompt is, between its messages,"
	if m.Message >= 0 {
		m.Role = p.Messages[m.Message].Role
		where = fmt.Sprintf("Message %d (%s) is, from byte %d on,", m.Message+1, m.Role, m.Offset)
	}
	if retold {
		m.Text = where + " the same text as before, but of other tokens."
		return m
	}
	m.Text = fmt.Sprintf("%s not what it was: %q became %q.", where, m.Old, m.New)
	return m
}

// inText returns which byte of a prompt's text its token n begins with.
func (r *Registry) inText(p Prompt, n int) int {
	at := len(r.render(p.Tokens[:n]))
	if start := r.render(p.Tokens[:min(n, 1)]); !strings.HasPrefix(p.Text, start) {
		at -= len(start) // a start token that the text lacks
	}
	return at
}

// unfinished returns what a text has of a character whose end it lacks.
func unfinished(text string) string {
	for at := len(text) - 1; at >= max(0, len(text)-utf8.UTFMax); at-- {
		if utf8.RuneStart(text[at]) {
			if !utf8.FullRuneInString(text[at:]) {
				return text[at:]
			}
			break
		}
	}
	return ""
}

// alike returns how many bytes two texts have in common, in whole characters.
func alike(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	starts := func(s string) bool { return n == len(s) || utf8.RuneStart(s[n]) }
	for n > 0 && !(starts(a) && starts(b)) {
		n--
	}
	return n
}

// gone says that what a prompt has in common with the conversation was not there.
func gone(tokens int, whole bool) *infer.Miss {
	if whole {
		return &infer.Miss{Reason: infer.MissCheckpoint, Message: -1, Tokens: tokens,
			Text: "The conversation goes on as before, but a model of this kind resumes only at checkpoints, and there was none behind which this could begin."}
	}
	return &infer.Miss{Reason: infer.MissGone, Message: -1, Tokens: tokens,
		Text: "The conversation goes on as before, but its KV was not kept, or had to make room."}
}

// render returns the text of tokens.
func (r *Registry) render(tokens []Token) string {
	var b []byte
	for _, t := range tokens {
		b = r.text(b, t)
	}
	return string(b)
}

// cut returns the first bytes of a text, in whole characters.
func cut(text string) string {
	if len(text) > shown {
		text = text[:shown]
	}
	return strings.ToValidUTF8(text, "")
}

// locate returns which message the byte at an offset of the rendered prompt is of, and
// which byte of it; −1 if it is of none.
func locate(p Prompt, offset int) (message, within int) {
	from := 0
	for i, m := range p.Messages {
		content := strings.TrimSpace(m.Content)
		at := strings.Index(p.Text[from:], content)
		if at < 0 || content == "" {
			continue
		}
		begin := from + at
		from = begin + len(content)
		if offset < begin {
			return -1, 0
		}
		if offset <= from {
			return i, offset - begin + strings.Index(m.Content, content)
		}
	}
	return -1, 0
}
