package prompt

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"samovar/engine/infer"
)

// Segment is a piece of a rendered prompt.
type Segment struct {
	Text string
	// Special says that texts of control tokens in it are those tokens.
	Special bool
}

// Text returns the whole text of a rendered prompt.
func Text(segments []Segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// shielder keeps texts of control tokens in messages from becoming tokens: it
// puts a shield in the place of each before the template runs, and cuts the
// rendered text there. Messages without such texts are not touched, so that
// ordinary prompts are one segment and tokenise as a whole.
type shielder struct {
	// control matches the texts; assistant leaves out those that the template
	// itself looks for in earlier answers (such as the end of a reasoning).
	control, assistant *regexp.Regexp
}

// A shield is one private-use character, its number, and another: nothing that
// a template would trim, split or change.
const shieldOpen, shieldShut = "\uE0F7", "\uE0F8"

var shieldPattern = regexp.MustCompile(shieldOpen + `(\d+)` + shieldShut)

func newShielder(control []string, source string) *shielder {
	control = slices.DeleteFunc(slices.Clone(control), func(c string) bool { return c == "" })
	if len(control) == 0 {
		return &shielder{}
	}
	lookedFor := func(c string) bool {
		for _, q := range []string{"'" + c + "'", `"` + c + `"`} {
			if strings.Contains(source, q+" in ") || strings.Contains(source, "split("+q) {
				return true
			}
		}
		return false
	}
	return &shielder{control: anyOf(control), assistant: anyOf(slices.DeleteFunc(slices.Clone(control), lookedFor))}
}

// anyOf matches the texts, the longest first, as tokenizers do; and the shields'
// own characters, so that a user's cannot be taken for a shield.
func anyOf(texts []string) *regexp.Regexp {
	texts = append(slices.Clone(texts), shieldOpen, shieldShut)
	slices.SortStableFunc(texts, func(a, b string) int { return len(b) - len(a) })
	for i, t := range texts {
		texts[i] = regexp.QuoteMeta(t)
	}
	return regexp.MustCompile(strings.Join(texts, "|"))
}

// shield returns messages with shields, and the texts that they stand for.
func (s *shielder) shield(messages []infer.Message) ([]infer.Message, []string) {
	if s.control == nil {
		return messages, nil
	}
	var texts []string
	out := slices.Clone(messages)
	for i := range out {
		pattern := s.control
		if out[i].Role == infer.RoleAssistant {
			pattern = s.assistant
		}
		out[i].Content = pattern.ReplaceAllStringFunc(out[i].Content, func(text string) string {
			texts = append(texts, text)
			return shieldOpen + strconv.Itoa(len(texts)-1) + shieldShut
		})
	}
	return out, texts
}

// split cuts the rendered text at its shields and puts the texts back that they
// stand for. ok is false if the template took a shield apart.
func split(text string, shields []string) (segments []Segment, ok bool) {
	if len(shields) == 0 {
		return []Segment{{Text: text, Special: true}}, true
	}
	add := func(text string, special bool) {
		switch last := len(segments) - 1; {
		case text == "":
		case last >= 0 && segments[last].Special == special:
			segments[last].Text += text
		default:
			segments = append(segments, Segment{Text: text, Special: special})
		}
	}
	at := 0
	for _, m := range shieldPattern.FindAllStringSubmatchIndex(text, -1) {
		n, err := strconv.Atoi(text[m[2]:m[3]])
		if err != nil || n >= len(shields) {
			return nil, false
		}
		add(text[at:m[0]], true)
		add(shields[n], false)
		at = m[1]
	}
	add(text[at:], true)
	for _, s := range segments {
		if s.Special && strings.ContainsAny(s.Text, shieldOpen+shieldShut) {
			return nil, false
		}
	}
	return segments, true
}
