package models

import (
	"fmt"
	"strconv"
	"strings"

	"samovar/engine/models/gguf"
)

// checkTensors compares the tensors with what the metadata says. The native
// loader checks each tensor's shape itself; what is checked here is what it
// takes for granted, and what deserves a better message.
func (h *header) checkTensors(f *Facts) {
	embedding, ok := h.tensors["token_embd.weight"]
	switch {
	case !ok:
		h.bad("It has no token embedding (token_embd.weight is missing).", hintOther)
	case len(embedding.Dims) != 2 || embedding.Dims[0] != int64(f.Width):
		h.damaged("Its token embedding has the shape %v; its width is %d.", embedding.Dims, f.Width)
	case embedding.Dims[1] != int64(f.VocabSize):
		h.damaged("Its tokenizer has %d tokens, but its token embedding has %d rows.", f.VocabSize, embedding.Dims[1])
	}
	h.checkBlocks(f)
	if h.arch == "llama" {
		h.checkLlama(f)
	}
}

// checkBlocks wants at least one tensor in every layer and none beyond.
func (h *header) checkBlocks(f *Facts) {
	present := make([]bool, f.Layers)
	for name := range h.tensors {
		rest, ok := strings.CutPrefix(name, "blk.")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= f.Layers {
			h.damaged("Its tensor %s belongs to a layer beyond its %d layers.", quote(name), f.Layers)
			return
		}
		present[i] = true
	}
	for i, there := range present {
		if !there && h.arch != "deci" { // which has layers that do nothing
			h.damaged("It says that it has %d layers, but layer %d has no tensors.", f.Layers, i)
			return
		}
	}
}

// checkLlama compares shapes for the plain llama architecture (without
// experts), which the guide and the shapes have.
func (h *header) checkLlama(f *Facts) {
	if h.number("expert_count") > 0 || h.err != nil {
		return
	}
	if f.FeedForward == 0 {
		h.bad("It does not give the width of its feed-forward part (llama.feed_forward_length is missing).", hintOther)
		return
	}
	width, ff := int64(f.Width), int64(f.FeedForward)
	query, key := int64(f.Heads*f.KeySize), int64(f.KVHeads*f.KeySize)
	value, out := int64(f.KVHeads*f.ValueSize), int64(f.Heads*f.ValueSize)
	h.shape("output_norm.weight", width)
	for i, kv := range f.LayerKVHeads {
		if kv != f.KVHeads {
			return // layers differ: leave it to the native loader
		}
		at := fmt.Sprintf("blk.%d.", i)
		h.shape(at+"attn_norm.weight", width)
		if _, fused := h.tensors[at+"attn_qkv.weight"]; !fused {
			h.shape(at+"attn_q.weight", width, query)
			h.shape(at+"attn_k.weight", width, key)
			h.shape(at+"attn_v.weight", width, value)
		}
		h.shape(at+"attn_output.weight", out, width)
		h.shape(at+"ffn_norm.weight", width)
		h.shape(at+"ffn_up.weight", width, ff)
		h.shape(at+"ffn_gate.weight", width, ff)
		h.shape(at+"ffn_down.weight", ff, width)
	}
}

func (h *header) shape(name string, want ...int64) {
	t, ok := h.tensors[name]
	if h.err != nil {
		return
	}
	if !ok {
		h.damaged("Its tensor %s is missing.", name)
		return
	}
	same := len(t.Dims) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = t.Dims[i] == want[i]
	}
	if !same {
		h.damaged("Its tensor %s has the shape %v instead of %v.", name, t.Dims, want)
	}
	if len(want) == 1 && t.Type != gguf.F32 {
		h.damaged("Its tensor %s has the type %v instead of F32.", name, t.Type)
	}
}

// fileTypes are the names of general.file_type (llama_ftype).
var fileTypes = map[uint32]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
	12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
	19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
	26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
	36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}
