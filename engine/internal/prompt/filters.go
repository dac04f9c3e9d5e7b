package prompt

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// maxBuilt bounds what one filter or method builds, before the guard sees it.
const maxBuilt = 64 << 20

var errBuilt = errLimit{fmt.Sprintf("a text in it exceeds %d bytes", maxBuilt)}

type function = func(args []value, kw kwargs) (value, error)

// filters replace the library's where it lacks them, renders otherwise than
// Jinja2, or has no bounds. args[0] is what stands before the bar.
var filters = map[string]function{
	"tojson": tojsonFilter, "default": defaultFilter, "d": defaultFilter, "trim": strip(strings.TrimFunc, strings.Trim),
	"string": func(args []value, _ kwargs) (value, error) { return jinja.NewString(str(args[0])), nil },
	"join":   joinFilter, "replace": replaceFilter, "indent": indentFilter, "list": listFilter,
	"first":  func(args []value, _ kwargs) (value, error) { return end(args[0], false) },
	"last":   func(args []value, _ kwargs) (value, error) { return end(args[0], true) },
	"select": selectFilter(true, false), "reject": selectFilter(false, false),
	"selectattr": selectFilter(true, true), "rejectattr": selectFilter(false, true),
}

// methods are Python's of strings and lists, called as filters are.
var methods = map[string]function{
	"strip":        strip(strings.TrimFunc, strings.Trim),
	"lstrip":       strip(strings.TrimLeftFunc, strings.TrimLeft),
	"rstrip":       strip(strings.TrimRightFunc, strings.TrimRight),
	"startswith":   affix(strings.HasPrefix),
	"endswith":     affix(strings.HasSuffix),
	"removeprefix": cutAffix(strings.TrimPrefix),
	"removesuffix": cutAffix(strings.TrimSuffix),
	"replace":      replaceFilter, "split": splitMethod, "rsplit": rsplitMethod, "splitlines": splitlinesMethod,
	"append": change(func(l *jinja.List, args []value) { l.Append(args[0]) }, 1),
	"insert": change(func(l *jinja.List, args []value) {
		at := 0
		if args[0].IsInt() {
			at = min(max(int(args[0].AsInt()), 0), l.Len())
		}
		l.Items = append(l.Items[:at:at], append([]value{args[1]}, l.Items[at:]...)...)
	}, 2),
	"update": updateMethod,
}

var replacedFilters, replacedMethods, library = func() (f, m map[string]bool, l map[string]value) {
	f, m, l = map[string]bool{}, map[string]bool{}, map[string]value{}
	filters["map"] = mapFilter // here, as it looks others up
	for name, fn := range filters {
		f[name], l[private+"f_"+name] = true, jinja.NewCallable(name, fn)
	}
	for name, fn := range methods {
		m[name], l[private+"m_"+name] = true, jinja.NewCallable(name, fn)
	}
	l[private+"number"] = jinja.NewCallable("*", func(args []value, _ kwargs) (value, error) {
		if !args[0].IsNumber() && !args[0].IsBool() {
			return none, errors.New("only numbers can be multiplied")
		}
		return args[0], nil
	})
	l["range"] = jinja.NewCallable("range", boundedRange)
	l["namespace"] = jinja.NewCallable("namespace", dict)
	l["dict"] = jinja.NewCallable("dict", dict)
	return f, m, l
}()

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool { return unicode.IsSpace(r) || (r >= 0x1c && r <= 0x1f) }

func text(args []value) (string, error) {
	if !args[0].IsString() {
		return "", errors.New("a text is needed, but there is none")
	}
	return args[0].AsString(), nil
}

func strip(space func(string, func(rune) bool) string, chars func(string, string) string) function {
	return func(args []value, _ kwargs) (value, error) {
		s := str(args[0])
		if len(args) > 1 && args[1].IsString() {
			return jinja.NewString(chars(s, args[1].AsString())), nil
		}
		return jinja.NewString(space(s, isSpace)), nil
	}
}

func affix(has func(s, affix string) bool) function {
	return func(args []value, _ kwargs) (value, error) {
		s, err := text(args)
		if err != nil || len(args) < 2 {
			return none, errors.Join(err, errIf(len(args) < 2, "an argument is missing"))
		}
		if args[1].IsList() {
			for _, item := range args[1].AsList().Items {
				if item.IsString() && has(s, item.AsString()) {
					return jinja.NewBool(true), nil
				}
			}
			return jinja.NewBool(false), nil
		}
		return jinja.NewBool(has(s, str(args[1]))), nil
	}
}

func cutAffix(cut func(s, affix string) string) function {
	return func(args []value, _ kwargs) (value, error) {
		s, err := text(args)
		if err != nil || len(args) < 2 {
			return none, errors.Join(err, errIf(len(args) < 2, "an argument is missing"))
		}
		return jinja.NewString(cut(s, str(args[1]))), nil
	}
}

func errIf(condition bool, message string) error {
	if condition {
		return errors.New(message)
	}
	return nil
}

func number(args []value, i int, kw kwargs, name string, otherwise int) int {
	v, ok := kw[name]
	if !ok && i < len(args) {
		v, ok = args[i], true
	}
	if ok && v.IsInt() {
		return int(min(max(v.AsInt(), -1<<31), 1<<31-1))
	}
	return otherwise
}

func replaceFilter(args []value, kw kwargs) (value, error) {
	if len(args) < 3 {
		return none, errors.New("replace needs two texts")
	}
	s, old, with := str(args[0]), str(args[1]), str(args[2])
	n := number(args, 3, kw, "count", -1)
	if found := strings.Count(s, old); len(with) > 0 && found > maxBuilt/len(with) {
		return none, errBuilt
	}
	return jinja.NewString(strings.Replace(s, old, with, n)), nil
}

func indentFilter(args []value, kw kwargs) (value, error) {
	width := number(args, 1, kw, "width", 4)
	first, ok := kw["first"]
	if !ok && len(args) > 2 {
		first = args[2]
	}
	lines := strings.Split(str(args[0]), "\n")
	if width < 0 || width > maxBuilt/len(lines) {
		return none, errBuilt
	}
	pad := strings.Repeat(" ", width)
	for i, line := range lines {
		if line != "" && (i > 0 || first.IsTruthy()) {
			lines[i] = pad + line
		}
	}
	return jinja.NewString(strings.Join(lines, "\n")), nil
}

func joinFilter(args []value, kw kwargs) (value, error) {
	separator := ""
	if len(args) > 1 {
		separator = str(args[1])
	} else if d, ok := kw["d"]; ok {
		separator = str(d)
	}
	var parts []string
	total := 0
	for _, item := range items(args[0]) {
		if a, ok := kw["attribute"]; ok {
			item = attribute(item, str(a))
		}
		part := str(item)
		if total += len(part) + len(separator); total > maxBuilt {
			return none, errBuilt
		}
		parts = append(parts, part)
	}
	return jinja.NewString(strings.Join(parts, separator)), nil
}

func strings2list(parts []string) (value, error) {
	list := make([]value, len(parts))
	for i, p := range parts {
		list[i] = jinja.NewString(p)
	}
	return jinja.NewList(list), nil
}

func splitMethod(args []value, kw kwargs) (value, error) {
	s, err := text(args)
	if err != nil {
		return none, err
	}
	most := number(args, 2, kw, "maxsplit", -1)
	if most >= 0 {
		most++
	}
	if len(args) < 2 || !args[1].IsString() {
		return strings2list(strings.FieldsFunc(s, isSpace))
	}
	if args[1].AsString() == "" {
		return none, errors.New("split needs a separator")
	}
	return strings2list(strings.SplitN(s, args[1].AsString(), most))
}

func rsplitMethod(args []value, kw kwargs) (value, error) {
	most := number(args, 2, kw, "maxsplit", -1)
	if most < 0 || len(args) < 2 || !args[1].IsString() {
		return splitMethod(args, nil)
	}
	s, err := text(args)
	if err != nil {
		return none, err
	}
	separator := args[1].AsString()
	var parts []string
	for ; most > 0; most-- {
		at := strings.LastIndex(s, separator)
		if at < 0 || separator == "" {
			break
		}
		parts = append([]string{s[at+len(separator):]}, parts...)
		s = s[:at]
	}
	return strings2list(append([]string{s}, parts...))
}

func splitlinesMethod(args []value, _ kwargs) (value, error) {
	s, err := text(args)
	if err != nil {
		return none, err
	}
	s = strings.TrimSuffix(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if s == "" {
		return strings2list(nil)
	}
	return strings2list(strings.Split(s, "\n"))
}

// change is a method that puts values into a list.
func change(apply func(*jinja.List, []value), n int) function {
	return func(args []value, _ kwargs) (value, error) {
		if !args[0].IsList() || len(args) != n+1 {
			return none, errors.New("a list and its new item are needed")
		}
		if err := checkValue(args[n], &args[0]); err != nil {
			return none, err
		}
		if args[0].AsList().Len() >= maxRange {
			return none, errLimit{fmt.Sprintf("a list in it has more than %d items", maxRange)}
		}
		apply(args[0].AsList(), args[1:])
		return jinja.None(), nil
	}
}

func updateMethod(args []value, kw kwargs) (value, error) {
	if !args[0].IsDict() {
		return none, errors.New("update needs a mapping")
	}
	d := args[0].AsDict()
	if len(args) > 1 && args[1].IsDict() {
		if err := checkValue(args[1], &args[0]); err != nil {
			return none, err
		}
		for _, key := range args[1].AsDict().OrderedKeys() {
			d.Set(key, args[1].AsDict().Data[key])
		}
	}
	more, err := dict(nil, kw)
	if err != nil {
		return none, err
	}
	if err := checkValue(more, &args[0]); err != nil {
		return none, err
	}
	for _, key := range more.AsDict().Keys {
		d.Set(key, more.AsDict().Data[key])
	}
	return jinja.None(), nil
}
