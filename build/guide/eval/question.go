package eval

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed heldout.json
var heldoutJSON []byte

//go:embed dev.json
var devJSON []byte

// A Question is what a newcomer types, with what makes an answer to it
// acceptable.
type Question struct {
	ID string `json:"id"`
	// Area groups questions in reports.
	Area string `json:"area"`
	// Intent is the entry of the guide's facts.json that covers the question.
	Intent string `json:"intent"`
	Text   string `json:"question"`
	// Accept holds groups of patterns; each group needs one that matches.
	Accept []Group `json:"accept"`
	// Reject holds patterns that must not match: each makes an answer wrong.
	Reject Group `json:"reject,omitempty"`
}

// A Set is a file of questions.
type Set struct {
	// Smoke is asked first and not counted; nil if the file has none.
	Smoke     *Question
	Questions []Question
}

// Heldout returns the 100 questions that count, and the smoke question.
func Heldout() Set { return heldout() }

// Dev returns questions of the same kind that do not count, to work with
// while the guide is trained.
func Dev() Set { return dev() }

var (
	heldout = sync.OnceValue(func() Set { return mustLoad("heldout.json", heldoutJSON) })
	dev     = sync.OnceValue(func() Set { return mustLoad("dev.json", devJSON) })
)

func mustLoad(name string, data []byte) Set {
	s, err := Load(data)
	if err != nil {
		panic(name + ": " + err.Error()) // embedded, so a test sees it first
	}
	return s
}

// Load reads a file of questions and checks that each can be judged.
func Load(data []byte) (Set, error) {
	var file struct {
		About     string     `json:"about"`
		Smoke     *Question  `json:"smoke"`
		Questions []Question `json:"questions"`
	}
	if err := decodeStrict(data, &file); err != nil {
		return Set{}, err
	}
	all := file.Questions
	if file.Smoke != nil {
		all = append([]Question{*file.Smoke}, all...)
	}
	ids, texts := map[string]bool{}, map[string]bool{}
	for _, q := range all {
		switch {
		case q.ID == "" || q.Area == "" || q.Intent == "" || strings.TrimSpace(q.Text) == "":
			return Set{}, fmt.Errorf("question %q lacks an id, area, intent or text", q.ID)
		case ids[q.ID]:
			return Set{}, fmt.Errorf("question %q is there twice", q.ID)
		case texts[Normalise(q.Text)]:
			return Set{}, fmt.Errorf("question %q asks what another one asks: %q", q.ID, q.Text)
		case len(q.Accept) == 0:
			return Set{}, fmt.Errorf("question %q accepts everything", q.ID)
		}
		for _, g := range q.Accept {
			if len(g) == 0 {
				return Set{}, fmt.Errorf("question %q has an empty group", q.ID)
			}
		}
		ids[q.ID], texts[Normalise(q.Text)] = true, true
	}
	return Set{Smoke: file.Smoke, Questions: file.Questions}, nil
}

func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// A Group is a list of patterns, any of which may match.
type Group []Pattern

// Matches tells whether any pattern of g occurs in s.
func (g Group) Matches(s string) bool {
	for _, p := range g {
		if p.re.MatchString(s) {
			return true
		}
	}
	return false
}

// String shows the patterns as alternatives.
func (g Group) String() string {
	s := make([]string, len(g))
	for i, p := range g {
		s[i] = p.src
	}
	return strings.Join(s, "  or  ")
}

// A Pattern is a regular expression that ignores case.
type Pattern struct {
	src string
	re  *regexp.Regexp
}

// UnmarshalText compiles the pattern.
func (p *Pattern) UnmarshalText(text []byte) error {
	re, err := regexp.Compile("(?i)" + string(text))
	if err != nil {
		return err
	}
	if re.MatchString("") {
		return fmt.Errorf("pattern %q matches an empty answer", text)
	}
	p.src, p.re = string(text), re
	return nil
}

// MarshalText returns the pattern as it was written.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.src), nil }
