package jsonreq

import (
	"fmt"
	"math"
	"unicode"

	"samovar/engine/infer"
)

const (
	// MaxStops and maxStopBytes bound what every sampled token is compared with.
	MaxStops      = 16
	maxStopBytes  = 1024
	maxModelBytes = 512
)

// Model returns the model's name, "" for the default one.
func Model(f Fields) string {
	name := f.String("model")
	if len(name) > maxModelBytes {
		f.Fail("model", "model must be at most %d bytes long, but has %d.", maxModelBytes, len(name))
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			f.Fail("model", "model must not contain control characters.")
			return ""
		}
	}
	return name
}

// Sampling returns the sampling fields, whose names and meaning are the same
// on all surfaces. Where surfaces differ in range, the widest is taken.
func Sampling(f Fields) infer.Sampling {
	s := infer.Sampling{
		Temperature:      f.Float("temperature", 0, 2),
		TopP:             f.Float("top_p", 0, 1),
		MinP:             f.Float("min_p", 0, 1),
		FrequencyPenalty: f.Float("frequency_penalty", -2, 2),
		PresencePenalty:  f.Float("presence_penalty", -2, 2),
		Seed:             seed(f),
	}
	if k := f.Int("top_k", -1, math.MaxInt32); k != nil {
		n := int(*k)
		s.TopK = &n
	}
	if s.TopP != nil && *s.TopP == 0 {
		// OpenAI's clients send 0 for "only the likeliest"; infer wants p > 0.
		p := math.SmallestNonzeroFloat32
		s.TopP = &p
	}
	s.RepeatPenalty = repeatPenalty(f)
	return s
}

// repeatPenalty reads llama.cpp's name for it, or else vLLM's.
func repeatPenalty(f Fields) *float64 {
	for _, name := range []string{"repeat_penalty", "repetition_penalty"} {
		p := f.Float(name, 0, 100)
		if p != nil && *p == 0 {
			f.Fail(name, "%s must be greater than 0.", f.Path(name))
		}
		if p != nil {
			return p
		}
	}
	return nil
}

// seed folds 64 bits into 32; seeds below 2³² stay as they are. -1 asks for a
// random one, as in llama.cpp and Ollama.
func seed(f Fields) *uint32 {
	n := f.Int("seed", math.MinInt64, math.MaxInt64)
	if n == nil || *n == -1 {
		return nil
	}
	u := uint32(uint64(*n)) ^ uint32(uint64(*n)>>32)
	return &u
}

// Stops returns the stop strings of a field: a string or an array of them.
func Stops(f Fields, name string) []string {
	v := f.Value(name)
	var values []Value
	switch {
	case v.IsNull():
		return nil
	case v.IsString():
		values = []Value{v}
	case v.IsArray():
		values = v.Array()
	default:
		v.FailKind("a string or an array of strings")
		return nil
	}
	if len(values) > MaxStops {
		v.Fail("%s may hold at most %d strings, but holds %d.", v.Path, MaxStops, len(values))
		return nil
	}
	var stops []string
	for _, e := range values {
		s := e.String()
		if s == "" {
			e.Fail("%s must not be empty.", e.Path)
		}
		if len(s) > maxStopBytes {
			e.Fail("%s must be at most %d bytes long, but has %d.", e.Path, maxStopBytes, len(s))
		}
		stops = append(stops, s)
	}
	return stops
}

// NoToolsText is what every use of tools is answered with.
const NoToolsText = "tool calling is not available in this version of Samovar."

// NoTools records that the request uses tools at this place.
func (v Value) NoTools() {
	if v.first.err != nil {
		return
	}
	v.first.set(&infer.Error{
		Code:    infer.CodeInvalid,
		Message: fmt.Sprintf("%s: %s", v.Path, NoToolsText),
		Hint:    "Send the request without tools.",
		Param:   v.Path,
	})
}
