package models

import (
	"fmt"
	"strconv"
	"strings"

	"samovar/engine/models/gguf"
)

// header reads metadata with the types that the native loader insists on.
// After its first error it stays with that.
type header struct {
	file    *gguf.File
	arch    string
	err     *BadFileError
	tensors map[string]gguf.Tensor // of all parts
}

func (h *header) bad(reason, hint string) {
	if h.err == nil {
		h.err = &BadFileError{Reason: reason, Hint: hint}
	}
}

func (h *header) damaged(format string, args ...any) {
	h.bad(fmt.Sprintf(format, args...), hintDownload)
}

// get reads a key that must have the type T if it is there.
func get[T any](h *header, key string) (value T, ok bool) {
	v, present := h.file.Value(key)
	if !present {
		return value, false
	}
	if value, ok = v.(T); !ok {
		h.damaged("Its metadata key %s has a value of the wrong type (%T, not %T).", key, v, value)
	}
	return value, ok
}

func (h *header) requireString(key, missing string) string {
	s, ok := get[string](h, key)
	if !ok || s == "" {
		h.bad(missing, hintOther)
	}
	return s
}

// number reads an architecture key; 0 if absent. The native loader takes only
// uint32 here.
func (h *header) number(key string) int {
	v, _ := get[uint32](h, h.arch+"."+key)
	return int(v)
}

// require reads an architecture key that must be from 1 to limit.
func (h *header) require(key, what string, limit int) int {
	full := h.arch + "." + key
	v, ok := get[uint32](h, full)
	switch {
	case h.err != nil:
	case !ok:
		h.bad(fmt.Sprintf("It does not give its %s (%s is missing).", what, full), hintOther)
	case v == 0 || int64(v) > int64(limit):
		h.damaged("It gives %d as its %s; 1 to %d is possible.", v, what, limit)
	}
	if h.err != nil {
		return 0
	}
	return int(v)
}

// perLayer reads a key that holds one number for all layers or an array with
// one for each.
func (h *header) perLayer(key string, layers int) (values []int, ok bool) {
	full := h.arch + "." + key
	raw, ok := h.file.Value(full)
	if !ok {
		return nil, false
	}
	values = make([]int, layers)
	switch v := raw.(type) {
	case uint32:
		for i := range values {
			values[i] = int(v)
		}
		return values, true
	case []uint32:
		if len(v) >= layers {
			for i := range values {
				values[i] = int(v[i])
			}
			return values, true
		}
	case []int32:
		if len(v) >= layers {
			for i := range values {
				values[i] = int(v[i])
			}
			return values, true
		}
	default:
		h.damaged("Its metadata key %s has a value of the wrong type (%T).", full, raw)
		return nil, false
	}
	h.damaged("Its metadata key %s does not have a value for each of the %d layers.", full, layers)
	return nil, false
}

// float32p reads an optional float; nil if absent.
func (h *header) float32p(key string) *float32 {
	if v, ok := get[float32](h, key); ok {
		return &v
	}
	return nil
}

func (h *header) int32p(key string) *int32 {
	v, ok := h.file.Value(key)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case int32:
		return &v
	case uint32:
		if n := int32(v); n >= 0 {
			return &n
		}
	}
	h.damaged("Its metadata key %s has the wrong type or value (%T).", key, v)
	return nil
}

// quote shows a string of the file without letting it write to a terminal.
func quote(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return strconv.Quote(s)
}
