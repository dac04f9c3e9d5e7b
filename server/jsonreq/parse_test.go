package jsonreq_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

func TestParseSaysWhere(t *testing.T) {
	for body, want := range map[string]string{
		"":                            "The request body is empty; it must be a JSON object.",
		"\xef\xbb\xbf \n":             "The request body is empty; it must be a JSON object.",
		"{\n \"é\": x}":               "The request body is not valid JSON at byte 10 (line 2, column 7): invalid character 'x' looking for beginning of value.",
		`{"a":1`:                      "The request body is not valid JSON: it ends in the middle, after 6 bytes.",
		`{"a":1} {}`:                  "The request body goes on after its JSON value ends, near line 1, column 10.",
		"{\"a\":\"x\xc3\"}":           "The request body is not valid UTF-8 at byte 7 (line 1, column 8).",
		`[1]`:                         "The request body must be a JSON object, but is an array.",
		`true`:                        "The request body must be a JSON object, but is a boolean.",
		strings.Repeat("[", 1000):     "The request body nests arrays and objects deeper than 128 levels.",
		strings.Repeat(",", 2000_000): "The request body holds more than 1048576 JSON values.",
	} {
		_, err := jsonreq.Parse([]byte(body))
		require.EqualError(t, err, want)
	}
}

func TestParseDoesNotCountWhatStandsInStrings(t *testing.T) {
	f, err := jsonreq.Parse([]byte(`{"a":"` + strings.Repeat(`[{\"\\`, 1000) + `"}`))
	require.NoError(t, err)
	require.Len(t, f.String("a"), 4000)
	require.NoError(t, f.Err())
}

func TestOnlyTheFirstFailureIsKept(t *testing.T) {
	f, err := jsonreq.Parse([]byte(`{"a":1,"b":{"c":"x"}}`))
	require.NoError(t, err)
	require.Empty(t, f.String("a"))
	b, ok := f.Object("b")
	require.True(t, ok)
	require.Nil(t, b.Int("c", 0, 1))
	require.Nil(t, f.Array("b"))
	var e *infer.Error
	require.ErrorAs(t, f.Err(), &e)
	require.Equal(t, "a must be a string, but is a number.", e.Message)
	require.Equal(t, "a", e.Param)
	require.Equal(t, f.Err(), b.Err())
}

func TestNumbers(t *testing.T) {
	f, err := jsonreq.Parse([]byte(`{"whole":5.0,"exp":1e3,"big":9007199254740993,"part":1.5,"null":null}`))
	require.NoError(t, err)
	for name, want := range map[string]int64{"whole": 5, "exp": 1000, "big": 9007199254740993} {
		require.Equal(t, want, *f.Int(name, 0, 1<<62), name)
	}
	require.Nil(t, f.Int("null", 0, 1))
	require.Nil(t, f.Float("absent", 0, 1))
	require.NoError(t, f.Err())
	require.Nil(t, f.Int("part", 0, 9))
	require.EqualError(t, f.Err(), "part must be a whole number of at most 64 bits, but is 1.5.")
}

func TestSamplingFields(t *testing.T) {
	read := func(body string) (infer.Sampling, error) {
		f, err := jsonreq.Parse([]byte(body))
		require.NoError(t, err)
		s := jsonreq.Sampling(f)
		return s, f.Err()
	}
	none, err := read(`{"seed":-1,"temperature":null}`)
	require.NoError(t, err)
	require.Equal(t, infer.Sampling{}, none)

	s, err := read(`{"seed":4294967295,"temperature":0,"top_p":0,"top_k":-1,"min_p":0.05,
		"repetition_penalty":1.1,"frequency_penalty":-2,"presence_penalty":2}`)
	require.NoError(t, err)
	require.Equal(t, uint32(4294967295), *s.Seed)
	require.Zero(t, *s.Temperature)
	require.Positive(t, *s.TopP, "infer wants more than 0")
	require.Equal(t, -1, *s.TopK)
	require.Equal(t, []float64{0.05, 1.1, -2, 2}, []float64{*s.MinP, *s.RepeatPenalty, *s.FrequencyPenalty, *s.PresencePenalty})

	wide, err := read(`{"seed":4294967296}`)
	require.NoError(t, err)
	require.Equal(t, uint32(1), *wide.Seed, "64 bits are folded, not cut off")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":null}]}`, `{"a":"\u0000"}`, "\xef\xbb\xbf{}", `{"a"`, "\xff", `"`, `[]]`, `{"a":"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := jsonreq.Parse(body)
		if err != nil {
			var e *infer.Error
			require.True(t, errors.As(err, &e))
			require.Equal(t, infer.CodeInvalid, e.Code)
			require.True(t, utf8.ValidString(e.Message))
			return
		}
		fields.String("a")
		fields.Int("a", 0, 10)
		fields.Array("a")
		jsonreq.Stops(fields, "a")
		jsonreq.Model(fields)
		jsonreq.Sampling(fields)
	})
}
