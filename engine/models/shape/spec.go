package shape

import (
	"fmt"
	"math"

	"samovar/engine/models/gguf"
)

// revision is part of every file's header: a change to what is generated
// raises it, and old files are then written anew.
const revision = 1

// spec is what tells one shape from another.
type spec struct {
	name     string
	arch     string
	layers   int
	width    int64
	heads    int64
	kvHeads  int64
	headSize int64
	ff       int64
	vocab    int64
	context  uint32
	ropeBase float32
	weights  gguf.Type // of the layers' matrices, and of the embedding if untied
	output   gguf.Type // of the output matrix, or of the embedding shared with it
	tied     bool

	window    uint32 // of gemma3's layers but each sixth
	conv      uint32 // tokens that a convolution of mamba or lfm2 sees
	state     int64  // numbers of mamba's state for each of its channels
	stepRank  int64  // mamba's rank of the step size
	attention []int  // lfm2's attention layers; the others convolve
}

// specs in the order that Names lists them. 0.5b is the shape that the
// project's numbers are measured on: all matrices Q4_0 and the embedding
// shared with the output, 217.8 MB read per token. 1b, 3b and 8b are Llama
// 3.2 and 3.1 as llama-quantize makes them: Q4_0 with a Q6_K output. swa, mamba
// and hybrid keep other state than a cell for each token (kinds.go).
var specs = []spec{
	{name: "0.5b", arch: "llama", layers: 24, width: 896, heads: 14, kvHeads: 2, headSize: 64, ff: 4864,
		vocab: 32000, context: 32768, ropeBase: 1e6, weights: gguf.Q4_0, output: gguf.Q4_0, tied: true},
	{name: "1b", arch: "llama", layers: 16, width: 2048, heads: 32, kvHeads: 8, headSize: 64, ff: 8192,
		vocab: 128256, context: 131072, ropeBase: 5e5, weights: gguf.Q4_0, output: gguf.Q6_K, tied: true},
	{name: "3b", arch: "llama", layers: 28, width: 3072, heads: 24, kvHeads: 8, headSize: 128, ff: 8192,
		vocab: 128256, context: 131072, ropeBase: 5e5, weights: gguf.Q4_0, output: gguf.Q6_K, tied: true},
	{name: "8b", arch: "llama", layers: 32, width: 4096, heads: 32, kvHeads: 8, headSize: 128, ff: 14336,
		vocab: 128256, context: 131072, ropeBase: 5e5, weights: gguf.Q4_0, output: gguf.Q6_K},
	{name: "tiny", arch: "llama", layers: 2, width: 128, heads: 2, kvHeads: 1, headSize: 64, ff: 384,
		vocab: 512, context: 8192, ropeBase: 1e4, weights: gguf.Q4_0, output: gguf.Q4_0, tied: true},
	{name: "swa", arch: "gemma3", layers: 6, width: 256, heads: 4, kvHeads: 2, headSize: 64, ff: 768, window: 512,
		vocab: 512, context: 16384, ropeBase: 1e6, weights: gguf.Q4_0, output: gguf.Q4_0, tied: true},
	{name: "mamba", arch: "mamba", layers: 6, width: 256, conv: 4, state: 16, stepRank: 32,
		vocab: 512, context: 16384, weights: gguf.Q4_0, output: gguf.Q4_0, tied: true},
	{name: "hybrid", arch: "lfm2", layers: 6, width: 256, heads: 4, kvHeads: 2, headSize: 64, ff: 768, conv: 3, attention: []int{2, 5},
		vocab: 512, context: 16384, ropeBase: 1e6, weights: gguf.Q4_0, output: gguf.Q4_0, tied: true},
}

// chatML is the template of every shape.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// plan is a file's layout and how to fill each tensor.
type plan struct {
	gguf.Layout
	fills []fill // one for each tensor
}

// fill says what a tensor's values are: normal-like noise of a standard
// deviation, or a constant where noise is zero.
type fill struct {
	noise, constant float64
	zeroRow         int64 // a row that stays zero, -1 for none
}

// builder collects tensors with their fills.
type builder struct {
	gguf.Writer
	fills []fill
}

func (b *builder) constant(name string, value float64, dims ...int64) {
	b.Add(name, gguf.F32, dims...)
	b.fills = append(b.fills, fill{constant: value, zeroRow: -1})
}

// noise adds a matrix whose products with a vector of unit-sized values have
// the standard deviation gain.
func (b *builder) noise(name string, t gguf.Type, gain float64, dims ...int64) {
	b.Add(name, t, dims...)
	b.fills = append(b.fills, fill{noise: gain / math.Sqrt(float64(dims[0])), zeroRow: -1})
}

const (
	// usual keeps every layer's contribution, and the logits, near 0.6; for
	// 0.5b the weights are then N(0, 0.02).
	usual = 0.6
	// focus is the gain of the query and key matrices. It is larger so that
	// attention picks some tokens over others and the output depends on the
	// whole context: a wrongly restored cell then changes the logits.
	focus = 1.4
	// strong is the gain of what a layer adds to the residual stream. It is
	// larger so that the token just read does not drown the context: in a tied
	// model its own embedding would otherwise win every greedy choice.
	strong = 2.0
)

func (s spec) plan() (plan, error) {
	b := &builder{}
	s.metadata(b)
	embedding := s.weights
	if s.tied {
		embedding = s.output
	}
	b.noise("token_embd.weight", embedding, usual, s.width, s.vocab)
	// A zero row for <|im_end|> gives it the logit 0, which never wins a greedy
	// choice: measurements are not cut short.
	if s.tied {
		b.fills[0].zeroRow = s.vocab - 1
	}
	for i := range s.layers {
		s.layer(b, i)
	}
	norm := "output_norm.weight"
	if s.arch == "lfm2" {
		norm = "token_embd_norm.weight" // llama.cpp's name for the same
	}
	b.constant(norm, 1, s.width)
	if !s.tied {
		b.noise("output.weight", s.output, usual, s.width, s.vocab)
		b.fills[len(b.fills)-1].zeroRow = s.vocab - 1
	}
	layout, err := b.Layout()
	return plan{layout, b.fills}, err
}

func (s spec) llamaLayer(b *builder, at string) {
	b.constant(at+"attn_norm.weight", 1, s.width)
	b.noise(at+"attn_q.weight", s.weights, focus, s.width, s.heads*s.headSize)
	b.noise(at+"attn_k.weight", s.weights, focus, s.width, s.kvHeads*s.headSize)
	b.noise(at+"attn_v.weight", s.weights, usual, s.width, s.kvHeads*s.headSize)
	b.noise(at+"attn_output.weight", s.weights, strong, s.heads*s.headSize, s.width)
	b.constant(at+"ffn_norm.weight", 1, s.width)
	s.feedForward(b, at, strong)
}

func (s spec) metadata(b *builder) {
	b.Set("general.architecture", s.arch)
	b.Set("general.name", "Samovar shape "+s.name)
	b.Set("general.description", fmt.Sprintf("Random weights, for measuring only. Generator revision %d.", revision))
	b.Set("general.file_type", uint32(2)) // mostly Q4_0
	b.Set("general.quantization_version", uint32(2))
	key := func(k string, v any) { b.Set(s.arch+"."+k, v) }
	key("context_length", s.context)
	key("embedding_length", uint32(s.width))
	key("block_count", uint32(s.layers))
	key("feed_forward_length", uint32(s.ff))
	key("vocab_size", uint32(s.vocab))
	key("attention.head_count", uint32(s.heads))
	key("attention.head_count_kv", s.layerKVHeads())
	if s.heads > 0 {
		key("attention.key_length", uint32(s.headSize))
		key("attention.value_length", uint32(s.headSize))
	}
	key("attention.layer_norm_rms_epsilon", float32(1e-6))
	if s.heads > 0 {
		key("rope.dimension_count", uint32(s.headSize))
		key("rope.freq_base", s.ropeBase)
	}
	s.kindMetadata(key)
	s.tokenizer(b)
}

// tokenizer sets a byte-level vocabulary: one token for each byte, filler words
// that no text is ever split into, then the control tokens.
func (s spec) tokenizer(b *builder) {
	const controls = 2
	tokens := make([]string, 0, s.vocab)
	types := make([]int32, 0, s.vocab)
	for c := range 256 {
		tokens = append(tokens, string(byteRune(byte(c))))
	}
	for i := 0; int64(len(tokens)) < s.vocab-controls; i++ {
		tokens = append(tokens, string(byteRune(' '))+filler(i))
	}
	for range tokens {
		types = append(types, 1) // normal
	}
	tokens = append(tokens, "<|im_start|>", "<|im_end|>")
	types = append(types, 3, 3) // control
	start, end := uint32(s.vocab-2), uint32(s.vocab-1)

	b.Set("tokenizer.ggml.model", "gpt2")
	b.Set("tokenizer.ggml.pre", "gpt-2")
	b.Set("tokenizer.ggml.tokens", tokens)
	b.Set("tokenizer.ggml.token_type", types)
	// No merges: text becomes single bytes.
	b.Set("tokenizer.ggml.merges", []string{})
	b.Set("tokenizer.ggml.bos_token_id", start)
	b.Set("tokenizer.ggml.eos_token_id", end)
	b.Set("tokenizer.ggml.eot_token_id", end)
	b.Set("tokenizer.ggml.padding_token_id", end)
	b.Set("tokenizer.ggml.add_bos_token", false)
	b.Set("tokenizer.ggml.add_eos_token", false)
	b.Set("tokenizer.chat_template", chatML)
}

// byteRune is GPT-2's spelling of a byte: printable Latin-1 stands for itself,
// the rest is moved to U+0100 and up.
func byteRune(c byte) rune {
	printable := func(c int) bool {
		return c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae && c <= 0xff
	}
	if printable(int(c)) {
		return rune(c)
	}
	moved := rune(0x100)
	for i := range int(c) {
		if !printable(i) {
			moved++
		}
	}
	return moved
}

// filler is the i-th word of an invented language, in ASCII.
func filler(i int) string {
	const consonants, vowels = "bdfghjklmnprstvwyzcq", "aeiou"
	var word []byte
	for n := i + 100; n > 0; n /= 100 { // at least two syllables
		word = append(word, consonants[n%100/5], vowels[n%5])
	}
	return string(word)
}
