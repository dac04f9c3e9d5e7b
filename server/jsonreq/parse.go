package jsonreq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"samovar/engine/infer"
)

const (
	// MaxDepth is how deep arrays and objects may nest. Tool schemas of real
	// clients stay below 30.
	MaxDepth = 128
	// MaxValues bounds the memory that a body can claim: a value costs up to
	// some 60 bytes once decoded, but only two bytes to send.
	MaxValues = 1 << 20
)

// Parse reads body, which must hold one JSON object.
func Parse(body []byte) (Fields, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return Fields{}, invalid("The request body is empty; it must be a JSON object.")
	}
	if err := precheck(body); err != nil {
		return Fields{}, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // a float64 would round large seeds
	var v any
	if err := dec.Decode(&v); err != nil {
		return Fields{}, syntaxError(body, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		line, col := position(body, dec.InputOffset())
		return Fields{}, invalid("The request body goes on after its JSON value ends, near line %d, column %d.", line, col)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return Fields{}, invalid("The request body must be a JSON object, but is %s.", kindOf(v))
	}
	return Fields{m: m, first: new(failure)}, nil
}

// precheck refuses what the decoder would accept silently or at a high price.
func precheck(body []byte) error {
	if !utf8.Valid(body) {
		at := firstInvalid(body)
		line, col := position(body, int64(at))
		return invalid("The request body is not valid UTF-8 at byte %d (line %d, column %d).", at, line, col)
	}
	depth, values, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		c := body[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > MaxDepth {
			return invalid("The request body nests arrays and objects deeper than %d levels.", MaxDepth)
		}
		if values > MaxValues {
			return invalid("The request body holds more than %d JSON values.", MaxValues)
		}
	}
	return nil
}

func syntaxError(body []byte, err error) error {
	var syn *json.SyntaxError
	switch {
	case errors.As(err, &syn):
		line, col := position(body, syn.Offset-1)
		return invalid("The request body is not valid JSON at byte %d (line %d, column %d): %s.", syn.Offset, line, col, syn)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("The request body is not valid JSON: it ends in the middle, after %d bytes.", len(body))
	}
	return invalid("The request body is not valid JSON: %v.", err)
}

// position turns a byte offset into a line and a column, both counted from 1.
func position(body []byte, offset int64) (line, col int) {
	before := body[:max(0, min(offset, int64(len(body))))]
	line = 1 + bytes.Count(before, []byte("\n"))
	col = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, col
}

func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

func invalid(format string, args ...any) *infer.Error {
	return &infer.Error{Code: infer.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// kindOf names a decoded value for a person.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}
