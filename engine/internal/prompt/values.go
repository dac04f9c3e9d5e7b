package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// str is Python's str() of a value.
func str(v value) string {
	if v.IsString() {
		return v.AsString()
	}
	if v.IsUndefined() {
		return ""
	}
	var b strings.Builder
	represent(&b, v)
	return b.String()
}

// represent is Python's repr() of a value.
func represent(b *strings.Builder, v value) {
	switch {
	case v.IsString():
		s := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v.AsString())
		if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
			b.WriteString(`"` + s + `"`)
			return
		}
		b.WriteString("'" + strings.ReplaceAll(s, "'", `\'`) + "'")
	case v.IsFloat():
		s := strconv.FormatFloat(v.AsFloat(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		b.WriteString(s)
	case v.IsList():
		b.WriteByte('[')
		for i, item := range v.AsList().Items {
			if i > 0 {
				b.WriteString(", ")
			}
			represent(b, item)
		}
		b.WriteByte(']')
	case v.IsDict():
		b.WriteByte('{')
		for i, key := range v.AsDict().Keys {
			if i > 0 {
				b.WriteString(", ")
			}
			represent(b, jinja.NewString(key))
			b.WriteString(": ")
			represent(b, v.AsDict().Data[key])
		}
		b.WriteByte('}')
	case v.IsCallable():
	default:
		b.WriteString(v.String())
	}
}

// tojsonFilter is json.dumps as transformers calls it: characters as they are,
// keys in their order, a space after commas and colons.
func tojsonFilter(args []value, kw kwargs) (value, error) {
	if err := checkValue(args[0], nil); err != nil {
		return none, err
	}
	indent := number(args, 1, kw, "indent", -1)
	if indent > 32 {
		return none, errors.New("tojson indents by 32 at most")
	}
	var b strings.Builder
	dumpJSON(&b, args[0], indent, 0)
	return jinja.NewString(b.String()), nil
}

func dumpJSON(b *strings.Builder, v value, indent, depth int) {
	newline := func(depth int, first bool) {
		switch {
		case indent >= 0:
			b.WriteString("\n" + strings.Repeat(" ", indent*depth))
		case !first:
			b.WriteByte(' ')
		}
	}
	switch {
	case v.IsString():
		dumpString(b, v.AsString())
	case v.IsBool(), v.IsInt(), v.IsFloat():
		b.WriteString(strings.ToLower(str(v)))
	case v.IsList() && v.AsList().Len() > 0:
		b.WriteByte('[')
		for i, item := range v.AsList().Items {
			if i > 0 {
				b.WriteByte(',')
			}
			newline(depth+1, i == 0)
			dumpJSON(b, item, indent, depth+1)
		}
		if indent >= 0 {
			newline(depth, true)
		}
		b.WriteByte(']')
	case v.IsList():
		b.WriteString("[]")
	case v.IsDict() && v.AsDict().Len() > 0:
		b.WriteByte('{')
		for i, key := range v.AsDict().Keys {
			if i > 0 {
				b.WriteByte(',')
			}
			newline(depth+1, i == 0)
			dumpString(b, key)
			b.WriteString(": ")
			dumpJSON(b, v.AsDict().Data[key], indent, depth+1)
		}
		if indent >= 0 {
			newline(depth, true)
		}
		b.WriteByte('}')
	case v.IsDict():
		b.WriteString("{}")
	default:
		b.WriteString("null")
	}
}

func dumpString(b *strings.Builder, s string) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	b.WriteString(strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(out.String(), "\n")))
}

func defaultFilter(args []value, kw kwargs) (value, error) {
	otherwise := empty
	if len(args) > 1 {
		otherwise = args[1]
	} else if d, ok := kw["default_value"]; ok {
		otherwise = d
	}
	falsy := kw["boolean"]
	if len(args) > 2 {
		falsy = args[2]
	}
	if args[0].IsUndefined() || (falsy.IsTruthy() && !args[0].IsTruthy()) {
		return otherwise, nil
	}
	return args[0], nil
}

// items are what a for over v would see.
func items(v value) []value {
	var out []value
	switch {
	case v.IsList():
		return v.AsList().Items
	case v.IsDict():
		for _, key := range v.AsDict().Keys {
			out = append(out, jinja.NewString(key))
		}
	case v.IsString():
		for _, r := range v.AsString() {
			out = append(out, jinja.NewString(string(r)))
		}
	}
	return out
}

func listFilter(args []value, _ kwargs) (value, error) {
	return jinja.NewList(slices.Clone(items(args[0]))), nil
}

func end(v value, last bool) (value, error) {
	list := items(v)
	switch {
	case len(list) == 0:
		return none, nil
	case last:
		return list[len(list)-1], nil
	default:
		return list[0], nil
	}
}

func attribute(v value, name string) value {
	for part := range strings.SplitSeq(name, ".") {
		if !v.IsDict() {
			return none
		}
		v, _ = v.AsDict().Get(part)
	}
	return v
}

func mapFilter(args []value, kw kwargs) (value, error) {
	apply := func(v value) (value, error) { return attribute(v, str(kw["attribute"])), nil }
	if _, ok := kw["attribute"]; !ok {
		if len(args) < 2 {
			return none, errors.New("map needs a filter")
		}
		fn, ok := filters[str(args[1])]
		switch str(args[1]) {
		case "upper":
			fn, ok = func(a []value, _ kwargs) (value, error) { return jinja.NewString(strings.ToUpper(str(a[0]))), nil }, true
		case "lower":
			fn, ok = func(a []value, _ kwargs) (value, error) { return jinja.NewString(strings.ToLower(str(a[0]))), nil }, true
		}
		if !ok {
			return none, fmt.Errorf("map with %q is not supported", str(args[1]))
		}
		apply = func(v value) (value, error) { return fn(append([]value{v}, args[2:]...), kw) }
	}
	var out []value
	for _, item := range items(args[0]) {
		v, err := apply(item)
		if err != nil {
			return none, err
		}
		if otherwise, ok := kw["default"]; ok && v.IsUndefined() {
			v = otherwise
		}
		out = append(out, v)
	}
	return jinja.NewList(out), nil
}

// selectFilter makes select and reject (of items) and their attr forms.
func selectFilter(keep, attr bool) function {
	return func(args []value, _ kwargs) (value, error) {
		rest := args[1:]
		name := ""
		if attr {
			if len(rest) == 0 {
				return none, errors.New("an attribute is missing")
			}
			name, rest = str(rest[0]), rest[1:]
		}
		var out []value
		for _, item := range items(args[0]) {
			v := item
			if attr {
				v = attribute(item, name)
			}
			ok, err := passes(v, rest)
			if err != nil {
				return none, err
			}
			if ok == keep {
				out = append(out, item)
			}
		}
		return jinja.NewList(out), nil
	}
}

// passes applies a test by name, with its argument; without one, truth.
func passes(v value, spec []value) (bool, error) {
	if len(spec) == 0 {
		return v.IsTruthy(), nil
	}
	name, args := str(spec[0]), spec[1:]
	switch name {
	case "defined":
		return !v.IsUndefined(), nil
	case "undefined":
		return v.IsUndefined(), nil
	case "none":
		return v.IsNone(), nil
	case "string":
		return v.IsString(), nil
	case "mapping":
		return v.IsDict(), nil
	case "iterable", "sequence":
		return v.IsList() || v.IsDict() || v.IsString(), nil
	case "true", "false":
		return v.IsBool() && v.AsBool() == (name == "true"), nil
	case "number", "integer":
		return v.IsInt() || (v.IsFloat() && name == "number"), nil
	}
	if len(args) == 0 {
		return false, fmt.Errorf("the test %q is not supported there", name)
	}
	switch name {
	case "eq", "equalto", "==", "sameas":
		return v.Equals(args[0]), nil
	case "ne", "!=":
		return !v.Equals(args[0]), nil
	case "in":
		if args[0].IsString() && v.IsString() {
			return strings.Contains(args[0].AsString(), v.AsString()), nil
		}
		return slices.ContainsFunc(items(args[0]), v.Equals), nil
	}
	return false, fmt.Errorf("the test %q is not supported there", name)
}

// dict makes a mapping of its named arguments. Their order is lost in the
// library; sorted, it is the same each time.
func dict(args []value, kw kwargs) (value, error) {
	v := jinja.NewDict()
	if len(args) > 0 && args[0].IsDict() {
		for _, key := range args[0].AsDict().Keys {
			v.AsDict().Set(key, args[0].AsDict().Data[key])
		}
	}
	keys := make([]string, 0, len(kw))
	for key := range kw {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		v.AsDict().Set(key, kw[key])
	}
	return v, nil
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
