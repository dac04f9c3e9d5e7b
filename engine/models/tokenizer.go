package models

import (
	"fmt"
	"strings"
)

var tokenizerModels = set("llama gpt2 rwkv plamo2 gemma4 hybriddna")

// tokenIDs name the special tokens that decide where a prompt begins and an
// answer ends. The native loader ignores one that is out of range, and answers
// then never end; it may do so with the rest (padding, fill-in-the-middle).
var tokenIDs = []string{"bos", "eos", "eot", "eom"}

// checkTokenizer returns the vocabulary's size.
func (h *header) checkTokenizer() int {
	const none = "It has no tokenizer, so it cannot read text."
	model := h.requireString("tokenizer.ggml.model", none)
	if h.err != nil {
		return 0
	}
	if model == "none" || model == "no_vocab" {
		h.bad(none, hintOther)
		return 0
	}
	if !tokenizerModels[model] {
		h.bad("Its tokenizer "+quote(model)+" is not known to this version of the engine.", hintNewer)
		return 0
	}
	tokens, _ := get[[]string](h, "tokenizer.ggml.tokens")
	if len(tokens) == 0 {
		h.bad(none, hintOther)
		return 0
	}
	h.checkTokens(tokens)
	if n, ok := length(h, "tokenizer.ggml.token_type"); ok && n < len(tokens) {
		h.damaged("Its tokenizer has %d tokens but %d token types.", len(tokens), n)
	}
	if n, ok := length(h, "tokenizer.ggml.scores"); ok && n < len(tokens) {
		h.damaged("Its tokenizer has %d tokens but %d scores.", len(tokens), n)
	}
	if _, ok := get[[]string](h, "tokenizer.ggml.merges"); !ok && model == "gpt2" {
		h.bad("Its tokenizer has no merges (tokenizer.ggml.merges is missing).", hintOther)
	}
	for _, name := range tokenIDs {
		key := "tokenizer.ggml." + name + "_token_id"
		if id, ok := get[uint32](h, key); ok && int64(id) >= int64(len(tokens)) {
			h.damaged("Its %s token is %d, beyond its %d tokens.", name, id, len(tokens))
		}
	}
	return len(tokens)
}

// checkTokens refuses equal tokens, on which the native loader asserts. Like
// that loader it reads a token up to its first NUL byte, and gives each empty
// token a name of its own.
func (h *header) checkTokens(tokens []string) {
	seen := make(map[string]int, len(tokens))
	for i, t := range tokens {
		if t, _, _ = strings.Cut(t, "\x00"); t == "" {
			t = fmt.Sprintf("[EMPTY_%d]", i)
		}
		if first, twice := seen[t]; twice {
			h.damaged("Its tokens %d and %d are the same (%s).", first, i, quote(t))
			return
		}
		seen[t] = i
	}
}

func length(h *header, key string) (int, bool) {
	switch v, _ := h.file.Value(key); v := v.(type) {
	case nil:
		return 0, false
	case []int32:
		return len(v), true
	case []uint32:
		return len(v), true
	case []float32:
		return len(v), true
	default:
		h.damaged("Its metadata key %s has a value of the wrong type (%T).", key, v)
		return 0, false
	}
}
