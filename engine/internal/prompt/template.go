package prompt

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"

	"samovar/engine/infer"
)

// ErrNoTemplate says that the model's file has no chat template.
var ErrNoTemplate = errors.New("the model has no chat template")

// Special holds the texts of a model's special tokens.
type Special struct {
	// BOS and EOS are what a template knows as bos_token and eos_token.
	BOS, EOS string
	// Control are the texts of all control tokens. Where a message contains
	// one, it is the user's text and must not become the token.
	Control []string
}

// Segment is a piece of a rendered prompt.
type Segment struct {
	Text string
	// Special says that texts of control tokens in it are those tokens.
	Special bool
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	compiled *jinja.Template
	special  Special
	control  *regexp.Regexp // nil: there are no control tokens
	now      func() time.Time
	timeout  time.Duration
}

// renderTimeout bounds a rendering; ordinary ones take milliseconds.
const renderTimeout = 5 * time.Second

// maxRange bounds range(): templates loop over messages and tools.
const maxRange = 100_000

// Compile compiles a chat template. An empty source gives an *infer.Error with
// ErrNoTemplate in its chain, a faulty one an *infer.Error, too.
func Compile(source string, special Special) (*Template, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &infer.Error{Code: infer.CodeInvalid, Err: ErrNoTemplate,
			Message: "This model has no chat template, so it cannot take conversations.",
			Hint:    "Start Samovar with --chat-template FILE, or choose a model that has one (an \"instruct\" or \"chat\" variant)."}
	}
	normal, err := normalise(source)
	if err != nil {
		return nil, compileError(err)
	}
	compiled, err := compile(normal)
	if err != nil {
		return nil, compileError(err)
	}
	t := &Template{compiled: compiled, special: special, now: time.Now, timeout: renderTimeout}
	var quoted []string
	for _, c := range special.Control {
		if c != "" {
			quoted = append(quoted, regexp.QuoteMeta(c))
		}
	}
	if len(quoted) > 0 {
		// The longest first, as the tokenizer matches.
		slices.SortFunc(quoted, func(a, b string) int { return len(b) - len(a) })
		t.control = regexp.MustCompile(strings.Join(quoted, "|"))
	}
	return t, nil
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
		Message: "The model's chat template cannot be used: " + err.Error() + ".",
		Hint:    "Give another one with --chat-template FILE."}
}

// Render returns the prompt for a conversation, ready for the model's answer.
// A conversation that the template refuses is tried again in a simpler form
// (see simplify). The error is an *infer.Error or ctx's.
func (t *Template) Render(ctx context.Context, messages []infer.Message) ([]Segment, error) {
	messages = mergeLeadingSystem(messages)
	text, shields, err := t.render(ctx, messages)
	if err == nil && keepsAll(text, messages, shields) {
		return split(text, shields), nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	simpler, simplerShields, simplerErr := t.render(ctx, simplify(messages))
	switch {
	case simplerErr == nil:
		return split(simpler, simplerShields), nil
	case err == nil:
		return split(text, shields), nil
	default:
		return nil, err
	}
}

// keepsAll says whether every system message is in the rendered text: some
// templates drop those that they do not expect without a word.
func keepsAll(text string, messages []infer.Message, shields []string) bool {
	plain := unshield(text, shields)
	for _, m := range messages {
		if m.Role == infer.RoleSystem && !strings.Contains(plain, strings.TrimSpace(m.Content)) {
			return false
		}
	}
	return true
}

type rendered struct {
	text string
	err  error
}

// render runs the template once. Shields stand in the text for what in the
// messages looks like control tokens.
func (t *Template) render(ctx context.Context, messages []infer.Message) (string, []string, error) {
	var shields []string
	list := make([]any, len(messages))
	for i, m := range messages {
		content := m.Content
		if t.control != nil {
			content = t.control.ReplaceAllStringFunc(content, func(s string) string {
				shields = append(shields, s)
				return shield(len(shields) - 1)
			})
		}
		list[i] = map[string]any{"role": string(m.Role), "content": content}
	}
	raised := ""
	values := t.values(list, &raised)
	done := make(chan rendered, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- rendered{err: fmt.Errorf("the template engine failed: %v", p)}
			}
		}()
		text, err := t.compiled.RenderValues(values)
		done <- rendered{text, err}
	}()
	timer := time.NewTimer(t.timeout)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.err == nil {
			return r.text, shields, nil
		}
		if raised != "" {
			return "", nil, &infer.Error{Code: infer.CodeInvalid, Param: "messages", Err: r.err,
				Message: "The model's chat template refuses this conversation: " + strings.TrimRight(raised, ".") + "."}
		}
		return "", nil, &infer.Error{Code: infer.CodeInvalid, Param: "messages", Err: r.err,
			Message: "The model's chat template cannot render this conversation: " + r.err.Error() + ".",
			Hint:    "Give another template with --chat-template FILE."}
	case <-timer.C:
		return "", nil, &infer.Error{Code: infer.CodeInvalid, Param: "messages",
			Message: fmt.Sprintf("The model's chat template took more than %v.", t.timeout),
			Hint:    "Give another template with --chat-template FILE."}
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
}

// values are the variables and functions that a template sees, as in
// transformers' apply_chat_template.
func (t *Template) values(messages []any, raised *string) map[string]jinja.Value {
	return map[string]jinja.Value{
		"messages":              jinja.FromGoValue(messages),
		"add_generation_prompt": jinja.NewBool(true),
		"bos_token":             jinja.NewString(t.special.BOS),
		"eos_token":             jinja.NewString(t.special.EOS),
		"raise_exception": jinja.NewCallable("raise_exception", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
			*raised = "the template raised an error"
			if len(args) > 0 && args[0].IsString() {
				*raised = args[0].AsString()
			}
			return jinja.Undefined(), errors.New(*raised)
		}),
		"strftime_now": jinja.NewCallable("strftime_now", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
			if len(args) == 0 || !args[0].IsString() {
				return jinja.Undefined(), errors.New("strftime_now needs a format")
			}
			return jinja.NewString(strftime(args[0].AsString(), t.now())), nil
		}),
		"range": jinja.NewCallable("range", boundedRange),
	}
}

// boundedRange is Python's range as a list, refused when it is huge.
func boundedRange(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	start, stop, step := int64(0), int64(0), int64(1)
	for _, a := range args {
		if !a.IsInt() {
			return jinja.Undefined(), errors.New("range needs whole numbers")
		}
	}
	switch len(args) {
	case 1:
		stop = args[0].AsInt()
	case 2:
		start, stop = args[0].AsInt(), args[1].AsInt()
	case 3:
		start, stop, step = args[0].AsInt(), args[1].AsInt(), args[2].AsInt()
	default:
		return jinja.Undefined(), errors.New("range needs one to three numbers")
	}
	if step == 0 {
		return jinja.Undefined(), errors.New("range's step must not be 0")
	}
	var items []jinja.Value
	for i := start; (step > 0 && i < stop) || (step < 0 && i > stop); i += step {
		if len(items) >= maxRange {
			return jinja.Undefined(), fmt.Errorf("a range of more than %d is refused", maxRange)
		}
		items = append(items, jinja.NewInt(i))
	}
	return jinja.NewList(items), nil
}

// A shield is one private-use character, its number, and another: nothing that
// a template would trim, split or change.
const shieldOpen, shieldShut = "\uE0F7", "\uE0F8"

var shieldPattern = regexp.MustCompile(shieldOpen + `(\d+)` + shieldShut)

func shield(n int) string { return shieldOpen + strconv.Itoa(n) + shieldShut }

// split cuts the rendered text at its shields and puts the texts back that they
// stand for.
func split(text string, shields []string) []Segment {
	if len(shields) == 0 {
		return []Segment{{Text: text, Special: true}}
	}
	var segments []Segment
	add := func(text string, special bool) {
		if text != "" {
			segments = append(segments, Segment{Text: text, Special: special})
		}
	}
	at := 0
	for _, m := range shieldPattern.FindAllStringSubmatchIndex(text, -1) {
		n, err := strconv.Atoi(text[m[2]:m[3]])
		if err != nil || n >= len(shields) {
			continue // the user's own private-use characters
		}
		add(text[at:m[0]], true)
		add(shields[n], false)
		at = m[1]
	}
	add(text[at:], true)
	return segments
}

func unshield(text string, shields []string) string {
	var b strings.Builder
	for _, s := range split(text, shields) {
		b.WriteString(s.Text)
	}
	return b.String()
}
