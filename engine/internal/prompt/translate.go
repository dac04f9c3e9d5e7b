package prompt

import (
	"fmt"
	"slices"
	"strings"
)

// private begins the names of what translate puts in; templates cannot use it.
const private = "__sv_"

// translate rewrites a template so that the Jinja library renders it as Jinja2
// does, and so that running it is bounded:
//
//   - white space, comments, raw blocks and strings are settled here;
//   - each turn of a loop and each call of a macro reports to the guard (see
//     guard), which ends what is too long, too deep or too large;
//   - what is printed or kept in a variable passes the guard, too;
//   - variables set inside a loop do not outlive its turn;
//   - filters, methods and tests that the library lacks or does otherwise are
//     replaced (see filters.go).
func translate(src string) (string, error) {
	list, err := pieces(src)
	if err != nil {
		return "", err
	}
	t := translator{pieces: list, frames: make(map[int]*frame)}
	if err := t.survey(); err != nil {
		return "", err
	}
	for i, p := range list {
		if err := t.piece(i, p); err != nil {
			return "", fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	return t.out.String(), nil
}

type translator struct {
	pieces []piece
	// frames are the bodies of blocks, by the index of the piece that opens them.
	frames map[int]*frame
	open   []*frame
	out    strings.Builder
	lines  int // in out
}

// frame is the body of a block.
type frame struct {
	keyword string
	index   int
	// bytes is the text in the body itself, sets the variables set there.
	bytes int
	sets  []string
	// filter is what a filter block applies.
	filter string
}

var opens = map[string]string{
	"if": "endif", "for": "endfor", "macro": "endmacro", "call": "endcall",
	"filter": "endfilter", "set": "endset", "generation": "endgeneration",
}

// survey finds out what each block contains.
func (t *translator) survey() error {
	for i, p := range t.pieces {
		// The text and variables of a branch are those of the body around it.
		var body *frame
		for n := len(t.open) - 1; n >= 0 && body == nil; n-- {
			if k := t.open[n].keyword; k == "for" || k == "macro" || k == "call" {
				body = t.open[n]
			}
		}
		if p.kind == kindText && body != nil {
			body.bytes += len(p.text)
		}
		if p.kind != kindBlock {
			continue
		}
		list, err := tokens(p.text)
		if err != nil || len(list) == 0 {
			return fmt.Errorf("line %d: the statement %q cannot be read", p.line, p.text)
		}
		keyword := list[0].text
		if keyword == "set" && body != nil && len(list) > 1 && (len(list) == 2 || list[2].text == "=") {
			body.sets = append(body.sets, list[1].text)
		}
		_, opener := opens[keyword]
		if opener && (keyword != "set" || !assigns(list)) {
			if len(t.open) >= maxNesting {
				return fmt.Errorf("line %d: it nests more than %d blocks", p.line, maxNesting)
			}
			f := &frame{keyword: keyword, index: i}
			t.frames[i] = f
			t.open = append(t.open, f)
		}
		if n := len(t.open) - 1; strings.HasPrefix(keyword, "end") {
			if n < 0 || opens[t.open[n].keyword] != keyword {
				return fmt.Errorf("line %d: %q ends nothing", p.line, keyword)
			}
			t.open = t.open[:n]
		}
	}
	if n := len(t.open) - 1; n >= 0 {
		return fmt.Errorf("line %d: %q is never ended", t.pieces[t.open[n].index].line, t.open[n].keyword)
	}
	return nil
}

func assigns(set []token) bool {
	return slices.ContainsFunc(set, func(t token) bool { return t.kind == 'o' && t.text == "=" })
}

// write emits source; newlines in it are counted, so that line numbers in the
// library's errors are those of the template.
func (t *translator) write(parts ...string) {
	for _, p := range parts {
		t.out.WriteString(p)
		t.lines += strings.Count(p, "\n")
	}
}

func (t *translator) piece(i int, p piece) error {
	if p.kind == kindText {
		if strings.HasSuffix(p.text, "{") || nextTag(p.text, 0) >= 0 {
			t.write("{{ ", quote(p.text), " }}")
		} else {
			t.write(p.text)
		}
		return nil
	}
	if missing := p.line - 1 - t.lines; missing > 0 {
		t.write("{#", strings.Repeat("\n", missing), "#}")
	}
	list, err := tokens(p.text)
	if err != nil {
		return err
	}
	if list, err = rewrite(list); err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("an empty tag")
	}
	if p.kind == kindOutput {
		t.write("{{ (", joinTokens(list), ") | ", private, "out }}")
		return nil
	}
	return t.block(i, list)
}

func (t *translator) block(i int, list []token) error {
	f := t.frames[i]
	if f != nil {
		t.open = append(t.open, f)
	}
	statement := "{% " + joinTokens(list) + " %}"
	switch keyword := list[0].text; keyword {
	case "set":
		return t.set(list, f != nil)
	case "for":
		t.loop(f, list, statement)
	case "macro", "call":
		t.write(statement, "{{ ", private, "enter(", fmt.Sprint(f.bytes), ") }}")
	case "filter":
		f.filter = joinTokens(list[1:])
		t.write("{% set ", private, fmt.Sprint("filtered", i), " %}")
	case "endmacro", "endcall":
		t.write("{{ ", private, "leave() }}", statement)
	case "endfilter":
		f := t.open[len(t.open)-1]
		t.write("{% endset %}{{ (", private, fmt.Sprint("filtered", f.index), " | ", f.filter, ") | ", private, "out }}")
	default:
		t.write(statement)
	}
	if strings.HasPrefix(list[0].text, "end") {
		t.open = t.open[:len(t.open)-1]
	}
	return nil
}

// set emits an assignment, whose value passes the guard.
func (t *translator) set(list []token, isBlock bool) error {
	target := list[1:]
	if isBlock {
		if len(target) != 1 {
			return fmt.Errorf("this form of set is not supported")
		}
		t.write("{% ", joinTokens(list), " %}")
		return nil
	}
	at := slices.IndexFunc(list, func(t token) bool { return t.kind == 'o' && t.text == "=" })
	target, value := list[1:at], list[at+1:]
	holder := ""
	switch {
	case len(target) == 1 && target[0].kind == 'n':
	case len(target) == 3 && target[1].text == "." && target[0].kind == 'n':
		holder = "(" + target[0].text + ")"
	default:
		return fmt.Errorf("only a name or a namespace's member can be set")
	}
	t.write("{% set ", joinTokens(target), " = (", joinTokens(value), ") | ", private, "keep", holder, " %}")
	return nil
}

// loop emits the head of a for. The library keeps what is set in one turn for
// the next; Jinja2 begins each turn with the variables around the loop.
func (t *translator) loop(f *frame, list []token, statement string) {
	in := slices.IndexFunc(list, func(t token) bool { return t.kind == 'n' && t.text == "in" })
	targets := []string{"loop"}
	for _, target := range list[1:max(in, 1)] {
		targets = append(targets, target.text)
	}
	var before, turn strings.Builder
	slices.Sort(f.sets)
	for _, name := range slices.Compact(f.sets) {
		if !slices.Contains(targets, name) {
			outer := fmt.Sprintf("%souter%d_%s", private, f.index, name)
			fmt.Fprintf(&before, "{%% set %s = %s %%}", outer, name)
			fmt.Fprintf(&turn, "{%% set %s = %s %%}", name, outer)
		}
	}
	t.write(before.String(), statement, "{{ ", private, "turn(", fmt.Sprint(f.bytes), ") }}", turn.String())
}

// rewrite replaces in an expression or statement what the library lacks.
func rewrite(list []token) ([]token, error) {
	var out []token
	is := func(i int, kind byte, text string) bool {
		return i >= 0 && i < len(list) && list[i].kind == kind && (text == "" || list[i].text == text)
	}
	for i := 0; i < len(list); i++ {
		t := list[i]
		switch {
		case t.kind == 'n' && strings.HasPrefix(t.text, private):
			return nil, fmt.Errorf("names that begin with %q are ours", private)
		case is(i, 'o', "|") && is(i+1, 'n', "") && replacedFilters[list[i+1].text]:
			out = append(out, t, token{'n', private + "f_" + list[i+1].text})
			i++
		case t.kind == 'n' && t.text == "filter" && i == 0 && is(1, 'n', "") && replacedFilters[list[1].text]:
			out = append(out, t, token{'n', private + "f_" + list[1].text})
			i++
		case is(i, 'o', ".") && is(i+1, 'n', "") && is(i+2, 'o', "(") && replacedMethods[list[i+1].text]:
			out = append(out, token{'o', "|"}, token{'n', private + "m_" + list[i+1].text})
			i++
		case is(i, 'o', "*"):
			out = append(out, token{'o', "|"}, token{'n', private + "number"}, t)
		case is(i, 'n', "is"):
			out = append(out, t)
			if is(i+1, 'n', "not") {
				i++
				out = append(out, list[i])
			}
			i++
			if i < len(list) {
				out = append(out, test(list[i]))
			}
			if i+1 < len(list) && takesArgument[list[min(i, len(list)-1)].text] && !is(i+1, 'o', "") {
				i++
				out = append(out, token{'o', "("}, list[i], token{'o', ")"})
			}
		default:
			out = append(out, t)
		}
	}
	return out, nil
}

// takesArgument are tests whose argument may stand without brackets.
var takesArgument = map[string]bool{
	"eq": true, "equalto": true, "ne": true, "sameas": true, "gt": true, "greaterthan": true,
	"ge": true, "lt": true, "lessthan": true, "le": true, "in": true,
}

func test(name token) token {
	if name.text == "sequence" { // strings are, too
		name.text = "iterable"
	}
	return name
}
