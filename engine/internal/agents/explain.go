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
	m := &infer.Miss{Reason: infer.MissChanged, Message: -1, Tokens: min(len(was), len(p.Tokens)) - n}
	same := r.render(p.Tokens[:n], -1)
	before, now := r.render(was[n:], 2*shown), r.render(p.Tokens[n:], 2*shown)
	// Tokens part before texts do.
	both := 0
	for both < len(before) && both < len(now) && before[both] == now[both] {
		both++
	}
	for both > 0 && both < len(now) && !utf8.RuneStart(now[both]) {
		both--
	}
	m.Old, m.New = cut(before[both:]), cut(now[both:])
	if n > 0 && !strings.HasPrefix(p.Text, r.render(p.Tokens[:1], -1)) {
		same = same[len(r.render(p.Tokens[:1], -1)):] // a start token that the text lacks
	}
	m.Message, m.Offset = locate(p, len(same)+both)
	if m.Message < 0 {
		m.Text = fmt.Sprintf("The prompt is another one than before, between its messages: %q became %q.", m.Old, m.New)
		return m
	}
	m.Role = p.Messages[m.Message].Role
	m.Text = fmt.Sprintf("Message %d (%s) is not what it was, from byte %d on: %q became %q.", m.Message+1, m.Role, m.Offset, m.Old, m.New)
	return m
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

// render returns the text of tokens, at least its first most bytes; all if most < 0.
func (r *Registry) render(tokens []Token, most int) string {
	var b []byte
	for _, t := range tokens {
		if most >= 0 && len(b) >= most {
			break
		}
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
		if at < 0 {
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
