package prompt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"

	"samovar/engine/infer"
)

// ErrNoTemplate says that the model's file has no chat template.
var ErrNoTemplate = errors.New("the model has no chat template")

// RaisedError is in the chain of the error when the template itself refused the
// conversation (raise_exception).
type RaisedError struct {
	// Message is the template's.
	Message string
}

func (e *RaisedError) Error() string { return "the template raised: " + e.Message }

// Special holds the texts of a model's special tokens.
type Special struct {
	// BOS and EOS are what a template knows as bos_token and eos_token.
	BOS, EOS string
	// Control are the texts of all control tokens. Where a message contains
	// one, it is the user's text and must not become the token.
	Control []string
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	compiled *jinja.Template
	special  Special
	shields  *shielder
	parts    bool // it knows contents as lists of parts
	now      func() time.Time
	timeout  time.Duration
}

// overrideHint says how to do without the model's own template.
const overrideHint = "Give another template with --chat-template FILE (setting chat_template)"

// Compile compiles a chat template. An empty source gives an *infer.Error with
// ErrNoTemplate in its chain, a faulty one an *infer.Error, too.
func Compile(source string, special Special) (*Template, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &infer.Error{Code: infer.CodeInvalid, Err: ErrNoTemplate,
			Message: "This model has no chat template, so it cannot take conversations.",
			Hint:    overrideHint + ", or choose a model that has one (an \"instruct\" or \"chat\" variant)."}
	}
	translated, err := translate(source)
	if err != nil {
		return nil, compileError(err)
	}
	compiled, err := compile(translated)
	if err != nil {
		return nil, compileError(err)
	}
	return &Template{compiled: compiled, special: special, shields: newShielder(special.Control, source),
		parts: strings.Contains(source, "text'") || strings.Contains(source, `text"`) || strings.Contains(source, ".text"),
		now:   time.Now, timeout: renderTimeout}, nil
}

// compile turns a panic of the library's parser into an error.
func compile(source string) (t *jinja.Template, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the template engine failed: %v", p)
		}
	}()
	return jinja.Compile(source)
}

func compileError(err error) error {
	return &infer.Error{Code: infer.CodeInvalid, Err: err,
		Message: "The model's chat template cannot be used: " + trimSentence(err.Error()) + ".",
		Hint:    overrideHint + "."}
}

// Render returns the prompt for a conversation, ready for the model's answer.
// A conversation that the template refuses, or of which it drops a system
// message, is tried again in simpler forms (see adapt.go). The error is an
// *infer.Error or ctx's.
func (t *Template) Render(ctx context.Context, messages []infer.Message) ([]Segment, error) {
	messages = mergeLeadingSystem(messages)
	var partial []Segment // rendered, but not all of it
	var first error
	tried := [][]infer.Message{}
	timed, cancel := contextOf(ctx, t.timeout)
	defer cancel()
	for _, form := range []func([]infer.Message) []infer.Message{asTheyAre, foldLater, foldAll} {
		form := form(messages)
		if slices.ContainsFunc(tried, func(other []infer.Message) bool { return slices.Equal(form, other) }) {
			continue
		}
		tried = append(tried, form)
		segments, err := t.render(timed, form, false)
		if err == nil && t.parts && !keeps(segments, messages) {
			// It may expect contents as lists of parts, as multimodal models' do.
			if typed, err := t.render(timed, form, true); err == nil && keeps(typed, messages) &&
				!strings.Contains(Text(typed), "'type': 'text'") {
				segments = typed
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && keeps(segments, messages):
			return segments, nil
		case err == nil && partial == nil:
			partial = segments
		case err != nil && first == nil:
			first = err
		}
		if timed.Err() != nil {
			break
		}
	}
	if partial != nil {
		return partial, nil
	}
	return nil, first
}

// keeps says whether every system message and the last message are in the
// rendered text: some templates drop what they do not expect without a word.
func keeps(segments []Segment, messages []infer.Message) bool {
	text := Text(segments)
	for i, m := range messages {
		if (m.Role == infer.RoleSystem || i == len(messages)-1) && !strings.Contains(text, strings.TrimSpace(m.Content)) {
			return false
		}
	}
	return true
}

// render runs the template once; a second time without shields if it took one
// apart.
func (t *Template) render(ctx context.Context, messages []infer.Message, parts bool) ([]Segment, error) {
	shielded, shields := t.shields.shield(messages)
	text, err := t.run(ctx, shielded, parts)
	if err != nil {
		return nil, err
	}
	if segments, ok := split(text, shields); ok {
		return segments, nil
	}
	text, err = t.run(ctx, messages, parts)
	return []Segment{{Text: text, Special: true}}, err
}

// run runs the template. It never outlives ctx and the time-out by more than
// one straight piece of the template, as loops and macros ask the guard.
func (t *Template) run(ctx context.Context, messages []infer.Message, parts bool) (text string, err error) {
	size := 0
	list := make([]value, len(messages))
	for i, m := range messages {
		size += len(m.Content)
		list[i] = jinja.NewDict()
		list[i].AsDict().Set("role", jinja.NewString(string(m.Role)))
		content := jinja.NewString(m.Content)
		if parts {
			part := jinja.NewDict()
			part.AsDict().Set("type", jinja.NewString("text"))
			part.AsDict().Set("text", content)
			content = jinja.NewList([]value{part})
		}
		list[i].AsDict().Set("content", content)
	}
	g := &guard{ctx: ctx, limit: outputLimit(size), now: t.now}
	values := g.globals()
	values["messages"] = jinja.NewList(list)
	values["add_generation_prompt"] = jinja.NewBool(true)
	values["bos_token"] = jinja.NewString(t.special.BOS)
	values["eos_token"] = jinja.NewString(t.special.EOS)
	// As in transformers, these are there, but None.
	values["tools"], values["documents"] = jinja.None(), jinja.None()
	defer func() {
		if p := recover(); p != nil {
			err = renderError(fmt.Errorf("the template engine failed: %v", p))
		}
	}()
	text, err = t.compiled.RenderValues(values)
	switch {
	case err == nil:
		return text, nil
	case g.raised != nil:
		return "", &infer.Error{Code: infer.CodeInvalid, Param: "messages", Err: &RaisedError{*g.raised},
			Message: "The model's chat template refuses this conversation: " + trimSentence(*g.raised) + "."}
	default:
		return "", renderError(err)
	}
}

func renderError(err error) error {
	return &infer.Error{Code: infer.CodeInvalid, Param: "messages", Err: err,
		Message: "The model's chat template cannot render this conversation: " + trimSentence(err.Error()) + ".",
		Hint:    overrideHint + "."}
}
