package eval

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Answer is what the model said, and how it came to its end.
type Answer struct {
	Text string `json:"text"`
	// FinishReason is the API's: "stop" when the model ended by itself.
	FinishReason string `json:"finish_reason"`
}

// controlToken matches what chat templates write between turns and no answer
// contains.
var controlToken = regexp.MustCompile(`<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<<?/?SYS>>?|</?think>`)

// WellFormed returns why a is no acceptable answer to anything, or "".
func WellFormed(a Answer) string {
	if strings.TrimSpace(a.Text) == "" {
		return "empty answer"
	}
	if a.FinishReason != "stop" {
		return fmt.Sprintf("did not end by itself: finish reason %q", a.FinishReason)
	}
	if !utf8.ValidString(a.Text) || strings.ContainsRune(a.Text, utf8.RuneError) {
		return "not valid text"
	}
	if m := controlToken.FindString(a.Text); m != "" {
		return fmt.Sprintf("contains the control token %q", m)
	}
	for _, r := range a.Text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return fmt.Sprintf("contains the control character %U", r)
		}
	}
	return ""
}

// Judge returns why a is not an acceptable answer to q, or "" if it is.
func Judge(q Question, a Answer) string {
	if why := WellFormed(a); why != "" {
		return why
	}
	text := tidy(a.Text)
	for _, p := range q.Reject {
		if p.re.MatchString(text) {
			return fmt.Sprintf("matches the rejected %s", p.src)
		}
	}
	for _, g := range q.Accept {
		if !g.Matches(text) {
			return fmt.Sprintf("lacks %s", g)
		}
	}
	return ""
}

// tidy makes spellings equal that no reader tells apart, so that patterns can
// be plain: typographic quotes and dashes, runs of spaces.
func tidy(s string) string {
	s = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "‑", "-", "\u00a0", " ").Replace(s)
	return strings.TrimSpace(spaces.ReplaceAllString(s, " "))
}

var spaces = regexp.MustCompile(`[ \t]+`)

// Normalise lowers s, drops its punctuation and joins its words by one space,
// so that two questions compare equal when a person would say that they are.
func Normalise(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '\'' || r == '’': // what's = whats
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
