package jsonreq

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"samovar/engine/infer"
)

// Fields is a JSON object being read. A field that is absent and one that is
// null are the same to it.
type Fields struct {
	m     map[string]any
	path  string // "" for the body, else "messages[3]" or the like
	first *failure
}

// Value is one JSON value and the path that leads to it.
type Value struct {
	v     any
	Path  string
	first *failure
}

type failure struct{ err error }

func (f *failure) set(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Err returns the first failure of this body, from whichever part of it.
func (f Fields) Err() error { return f.first.err }

// Path returns the full path of a field.
func (f Fields) Path(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

// Has reports whether the field is there and not null.
func (f Fields) Has(name string) bool { return f.m[name] != nil }

// Value returns the field as it is, for fields of more than one type.
func (f Fields) Value(name string) Value {
	return Value{v: f.m[name], Path: f.Path(name), first: f.first}
}

// Fail records that a field is at fault, unless something failed before.
// The message is a whole sentence; it should begin with the path.
func (f Fields) Fail(name, format string, args ...any) { f.Value(name).Fail(format, args...) }

// FailWith records err, unless something failed before.
func (f Fields) FailWith(err error) { f.first.set(err) }

// String returns the string, or "" when there is none.
func (f Fields) String(name string) string {
	if !f.Has(name) {
		return ""
	}
	return f.Value(name).String()
}

// Bool returns the boolean, or false when there is none.
func (f Fields) Bool(name string) bool {
	v := f.Value(name)
	if v.v == nil {
		return false
	}
	b, ok := v.v.(bool)
	if !ok {
		v.failKind("a boolean")
	}
	return b
}

// Float returns the number in [lo, hi], or nil when there is none.
func (f Fields) Float(name string, lo, hi float64) *float64 {
	v := f.Value(name)
	if v.v == nil {
		return nil
	}
	n, ok := v.v.(json.Number)
	if !ok {
		v.failKind("a number")
		return nil
	}
	x, err := n.Float64()
	if err != nil || x < lo || x > hi {
		v.Fail("%s must be %s, but is %s.", v.Path, rangeText(lo, hi), shorten(n.String()))
		return nil
	}
	return &x
}

// Int returns the whole number in [lo, hi], or nil when there is none. 5.0 is
// whole, too: some languages have only one kind of number.
func (f Fields) Int(name string, lo, hi int64) *int64 {
	v := f.Value(name)
	if v.v == nil {
		return nil
	}
	n, ok := v.v.(json.Number)
	if !ok {
		v.failKind("a whole number")
		return nil
	}
	i, err := n.Int64()
	if err != nil {
		x, ferr := n.Float64()
		if ferr != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			v.Fail("%s must be a whole number of at most 64 bits, but is %s.", v.Path, shorten(n.String()))
			return nil
		}
		i = int64(x)
	}
	if i < lo || i > hi {
		v.Fail("%s must be %s, but is %d.", v.Path, rangeText(float64(lo), float64(hi)), i)
		return nil
	}
	return &i
}

// Object returns the object, and false when there is none.
func (f Fields) Object(name string) (Fields, bool) {
	if !f.Has(name) {
		return Fields{}, false
	}
	return f.Value(name).Object()
}

// Array returns the array's values; nil when there is none.
func (f Fields) Array(name string) []Value {
	if !f.Has(name) {
		return nil
	}
	return f.Value(name).Array()
}

// IsNull reports whether the value is null or absent.
func (v Value) IsNull() bool { return v.v == nil }

// IsArray reports whether the value is an array.
func (v Value) IsArray() bool { _, ok := v.v.([]any); return ok }

// IsString reports whether the value is a string.
func (v Value) IsString() bool { _, ok := v.v.(string); return ok }

// Empty reports whether the value says nothing: null, false, "", [] or {}.
func (v Value) Empty() bool {
	switch t := v.v.(type) {
	case nil:
		return true
	case bool:
		return !t
	case string:
		return t == ""
	case []any:
		return len(t) == 0
	case map[string]any:
		return len(t) == 0
	}
	return false
}

// String returns the string; anything else is a failure.
func (v Value) String() string {
	s, ok := v.v.(string)
	if !ok {
		v.failKind("a string")
		return ""
	}
	if strings.IndexByte(s, 0) >= 0 {
		v.Fail("%s contains a NUL character (\\u0000), which models cannot read; remove it.", v.Path)
		return ""
	}
	return s
}

// Object returns the object; anything else is a failure.
func (v Value) Object() (Fields, bool) {
	m, ok := v.v.(map[string]any)
	if !ok {
		v.failKind("an object")
		return Fields{first: v.first, path: v.Path}, false
	}
	return Fields{m: m, path: v.Path, first: v.first}, true
}

// Array returns the array's values; anything else is a failure.
func (v Value) Array() []Value {
	a, ok := v.v.([]any)
	if !ok {
		v.failKind("an array")
		return nil
	}
	out := make([]Value, len(a))
	for i, e := range a {
		out[i] = Value{v: e, Path: v.Path + "[" + strconv.Itoa(i) + "]", first: v.first}
	}
	return out
}

// Fail records that this value is at fault, unless something failed before.
func (v Value) Fail(format string, args ...any) {
	if v.first.err != nil {
		return
	}
	e := invalid(format, args...)
	e.Param = v.Path
	v.first.set(e)
}

// FailKind records that this value is of the wrong type.
func (v Value) FailKind(want string) { v.failKind(want) }

func (v Value) failKind(want string) {
	if v.v == nil {
		v.Fail("%s is missing; it must be %s.", v.Path, want)
		return
	}
	v.Fail("%s must be %s, but is %s.", v.Path, want, kindOf(v.v))
}

func rangeText(lo, hi float64) string {
	switch {
	case hi >= math.MaxInt32:
		return fmt.Sprintf("at least %v", lo)
	case lo <= math.MinInt32:
		return fmt.Sprintf("at most %v", hi)
	}
	return fmt.Sprintf("between %v and %v", lo, hi)
}

// shorten keeps a client's own value from filling the error message.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Quote returns a client's own string, shortened and quoted, for a message.
func Quote(s string) string { return strconv.Quote(shorten(s)) }

// Unavailable is the failure for what Samovar knows but cannot do yet.
func (f Fields) Unavailable(name, what string) {
	f.FailWith(&infer.Error{
		Code:    infer.CodeInvalid,
		Message: fmt.Sprintf("%s: %s is not available in this version of Samovar.", f.Path(name), what),
		Hint:    "Send the request without it.",
		Param:   f.Path(name),
	})
}
