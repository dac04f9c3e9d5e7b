package shape

import (
	"fmt"
	"slices"

	"samovar/engine/models/gguf"
)

// The shapes whose state per sequence is not a cell for each token and layer.
// Names, keys and dimensions are those of llama.cpp v0.4.0 (src/models/gemma3.cpp,
// mamba.cpp, lfm2.cpp).

// slow is the bias of mamba's step size: softplus(-4) = 0.018, so that the state
// remembers some 50 tokens in each layer, and more through several.
const slow = -4

func (s spec) layer(b *builder, i int) {
	at := fmt.Sprintf("blk.%d.", i)
	switch s.arch {
	case "gemma3":
		s.gemmaLayer(b, at)
	case "mamba":
		s.mambaLayer(b, at)
	case "lfm2":
		s.lfmLayer(b, at, slices.Contains(s.attention, i))
	default:
		s.llamaLayer(b, at)
	}
}

// layerKVHeads is one number, or one for each layer where they differ.
func (s spec) layerKVHeads() any {
	if s.attention == nil {
		return uint32(s.kvHeads)
	}
	heads := make([]int32, s.layers)
	for _, i := range s.attention {
		heads[i] = int32(s.kvHeads)
	}
	return heads
}

func (s spec) kindMetadata(key func(string, any)) {
	switch s.arch {
	case "gemma3": // five layers of six have the window, as in the real ones
		key("attention.sliding_window", s.window)
	case "mamba":
		key("ssm.conv_kernel", s.conv)
		key("ssm.inner_size", uint32(2*s.width))
		key("ssm.state_size", uint32(s.state))
		key("ssm.time_step_rank", uint32(s.stepRank))
	case "lfm2":
		key("shortconv.l_cache", s.conv)
	}
}

// gemmaLayer normalises what it adds, so that the norms' weights set its size and
// those of queries and keys the attention's focus.
func (s spec) gemmaLayer(b *builder, at string) {
	b.constant(at+"attn_norm.weight", 1, s.width)
	b.noise(at+"attn_q.weight", s.weights, usual, s.width, s.heads*s.headSize)
	b.noise(at+"attn_k.weight", s.weights, usual, s.width, s.kvHeads*s.headSize)
	b.noise(at+"attn_v.weight", s.weights, usual, s.width, s.kvHeads*s.headSize)
	b.noise(at+"attn_output.weight", s.weights, usual, s.heads*s.headSize, s.width)
	b.constant(at+"attn_q_norm.weight", focus, s.headSize)
	b.constant(at+"attn_k_norm.weight", focus, s.headSize)
	b.constant(at+"post_attention_norm.weight", 1, s.width)
	b.constant(at+"ffn_norm.weight", 1, s.width)
	s.feedForward(b, at, usual)
	b.constant(at+"post_ffw_norm.weight", 1, s.width)
}

// mambaLayer has only negative numbers in ssm_a: the state fades, never grows.
func (s spec) mambaLayer(b *builder, at string) {
	inner := 2 * s.width // the only expansion that llama.cpp takes
	b.constant(at+"attn_norm.weight", 1, s.width)
	b.noise(at+"ssm_in.weight", s.weights, focus, s.width, 2*inner)
	b.noise(at+"ssm_conv1d.weight", gguf.F32, 1, int64(s.conv), inner)
	b.constant(at+"ssm_conv1d.bias", 0, inner)
	b.noise(at+"ssm_x.weight", s.weights, strong, inner, s.stepRank+2*s.state)
	b.noise(at+"ssm_dt.weight", s.weights, 1, s.stepRank, inner)
	b.constant(at+"ssm_dt.bias", slow, inner)
	b.constant(at+"ssm_a", -1, s.state, inner)
	b.constant(at+"ssm_d", usual, inner)
	b.noise(at+"ssm_out.weight", s.weights, strong, inner, s.width)
}

// lfmLayer is an attention layer or a gated convolution over the last tokens.
func (s spec) lfmLayer(b *builder, at string, attention bool) {
	b.constant(at+"attn_norm.weight", 1, s.width)
	if attention {
		b.noise(at+"attn_q.weight", s.weights, usual, s.width, s.heads*s.headSize)
		b.noise(at+"attn_k.weight", s.weights, usual, s.width, s.kvHeads*s.headSize)
		b.noise(at+"attn_v.weight", s.weights, usual, s.width, s.kvHeads*s.headSize)
		b.noise(at+"attn_output.weight", s.weights, strong, s.heads*s.headSize, s.width)
		b.constant(at+"attn_q_norm.weight", focus, s.headSize)
		b.constant(at+"attn_k_norm.weight", focus, s.headSize)
	} else {
		b.noise(at+"shortconv.in_proj.weight", s.weights, focus, s.width, 3*s.width)
		b.noise(at+"shortconv.conv.weight", gguf.F32, 1, int64(s.conv), s.width)
		b.noise(at+"shortconv.out_proj.weight", s.weights, usual, s.width, s.width)
	}
	b.constant(at+"ffn_norm.weight", 1, s.width)
	s.feedForward(b, at, strong)
}

func (s spec) feedForward(b *builder, at string, down float64) {
	b.noise(at+"ffn_gate.weight", s.weights, usual, s.width, s.ff)
	b.noise(at+"ffn_up.weight", s.weights, usual, s.width, s.ff)
	b.noise(at+"ffn_down.weight", s.weights, down, s.ff, s.width)
}
