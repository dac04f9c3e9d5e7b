package llama

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
	"github.com/jupiterrider/ffi"
)

// Token is an index into a model's vocabulary.
type Token = int32

// ErrModel is in the chain of every error about a model file.
var ErrModel = errors.New("model unusable")

// ModelParams says how to load a model.
type ModelParams struct {
	Path string
	// Mmap maps the file instead of reading it. Right for Metal; on a CPU the
	// weights are repacked and would be counted twice (ENGINE.md §10).
	Mmap bool
	// Progress, if not nil, is called with 0 … 1; returning false cancels.
	Progress func(fraction float64) bool
}

// Model is a loaded model: weights and vocabulary.
type Model struct {
	lib   *Library
	model yzma.Model
	vocab yzma.Vocab
	size  int // tokens in the vocabulary
}

// OpenModel loads the model. The file must have been validated before
// (engine/models): the native loader aborts on some broken ones.
func (l *Library) OpenModel(p ModelParams) (*Model, error) {
	if strings.ContainsRune(p.Path, 0) {
		return nil, fmt.Errorf("%w: its path contains a NUL byte", ErrModel)
	}
	if info, err := os.Stat(p.Path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrModel, p.Path)
	}
	params := yzma.ModelDefaultParams()
	params.LoadMode = yzma.LoadModeNone
	if p.Mmap {
		params.LoadMode = yzma.LoadModeMmap
	}
	cancelled := false
	if p.Progress != nil {
		params.SetProgressCallback(func(progress float32, _ uintptr) uint8 {
			if p.Progress(float64(progress)) {
				return 1
			}
			cancelled = true
			return 0
		})
	}
	m, err := yzma.ModelLoadFromFile(p.Path, params)
	if err == nil && !cancelled && (yzma.ModelIsRecurrent(m) || yzma.ModelIsHybrid(m)) {
		// With weights repacked for the CPU, v0.4.0 computes all but the first sequence of
		// a step wrongly where a layer has a dimension for sequences, or aborts. What a
		// model is is only known once it is loaded.
		_ = yzma.ModelFree(m)
		params.UseExtraBufts = 0
		m, err = yzma.ModelLoadFromFile(p.Path, params)
	}
	switch {
	case cancelled:
		return nil, fmt.Errorf("%w: loading was cancelled", ErrModel)
	case err != nil:
		return nil, fmt.Errorf("%w: llama.cpp refuses %s", ErrModel, p.Path)
	}
	model := &Model{lib: l, model: m, vocab: yzma.ModelGetVocab(m)}
	model.size = int(yzma.VocabNTokens(model.vocab))
	if model.size <= 0 || !yzma.ModelHasDecoder(m) || yzma.ModelHasEncoder(m) {
		model.Close()
		return nil, fmt.Errorf("%w: %s is not a decoder-only text model with a vocabulary", ErrModel, p.Path)
	}
	return model, nil
}

// Close frees the model. Its contexts must have been closed.
func (m *Model) Close() {
	if m.model != 0 {
		_ = yzma.ModelFree(m.model)
		m.model, m.vocab = 0, 0
	}
}

// VocabSize returns the number of tokens in the vocabulary.
func (m *Model) VocabSize() int { return m.size }

// Parameters returns the number of weights.
func (m *Model) Parameters() uint64 { return yzma.ModelNParams(m.model) }

// Meta returns a value of the file's metadata, as text.
func (m *Model) Meta(key string) (string, bool) { return yzma.ModelMetaValStr(m.model, key) }

// MetaFloat returns a number of the file's metadata; ok is false if there is
// none, or none that is finite.
func (m *Model) MetaFloat(key string) (v float64, ok bool) {
	s, ok := m.Meta(key)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// ChatTemplate returns the file's own chat template, or "".
func (m *Model) ChatTemplate() string { return yzma.ModelChatTemplate(m.model, "") }

// BOS and EOS return the text of the vocabulary's begin and end tokens, or "".
func (m *Model) BOS() string { return m.tokenText(yzma.VocabBOS(m.vocab)) }

// EOS: see BOS.
func (m *Model) EOS() string { return m.tokenText(yzma.VocabEOS(m.vocab)) }

func (m *Model) tokenText(t yzma.Token) string { return yzma.VocabGetText(m.vocab, t) }

// BOSToken returns the token that starts a prompt, and whether the model's
// file asks for it to be added.
func (m *Model) BOSToken() (t Token, add bool) {
	t = Token(yzma.VocabBOS(m.vocab))
	return t, m.valid(t) && yzma.VocabGetAddBOS(m.vocab)
}

// ControlTexts returns the texts of all control tokens: what must not be
// parsed as such when a user writes it.
func (m *Model) ControlTexts() []string {
	var texts []string
	for t := range yzma.Token(m.size) {
		if yzma.VocabIsControl(m.vocab, t) {
			if s := m.tokenText(t); s != "" {
				texts = append(texts, s)
			}
		}
	}
	return texts
}

// LongestPiece returns the most bytes of text that one token stands for, at
// least 1. It looks at every token, so ask once.
func (m *Model) LongestPiece() int {
	longest := 1
	var piece []byte
	for t := range Token(m.size) {
		piece = m.Piece(piece[:0], t)
		longest = max(longest, len(piece), len(m.tokenText(yzma.Token(t))))
	}
	return longest
}

// IsControl says whether a token is none of text.
func (m *Model) IsControl(t Token) bool {
	return m.valid(t) && yzma.VocabIsControl(m.vocab, yzma.Token(t))
}

// IsEnd says whether a token ends the model's turn.
func (m *Model) IsEnd(t Token) bool {
	return m.valid(t) && yzma.VocabIsEOG(m.vocab, yzma.Token(t))
}

func (m *Model) valid(t Token) bool { return t >= 0 && int(t) < m.size }

// Piece appends the bytes of a token to dst. They need not be whole
// characters; control tokens have none.
func (m *Model) Piece(dst []byte, t Token) []byte { return m.piece(dst, t, false) }

// Text is Piece, but control tokens have their texts.
func (m *Model) Text(dst []byte, t Token) []byte { return m.piece(dst, t, true) }

func (m *Model) piece(dst []byte, t Token, special bool) []byte {
	if !m.valid(t) {
		return dst
	}
	const guess = 64
	for room := guess; ; {
		start := len(dst)
		dst = append(dst, make([]byte, room)...)
		n := int(yzma.TokenToPiece(m.vocab, yzma.Token(t), dst[start:], 0, special))
		if n >= 0 {
			return dst[:start+n]
		}
		dst, room = dst[:start], -n
	}
}

// Tokenize returns the tokens of text. With special, the texts of control
// tokens in it become those tokens. Any bytes are allowed. It may be called
// concurrently.
func (m *Model) Tokenize(text string, special bool) ([]Token, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > math.MaxInt32 {
		return nil, fmt.Errorf("a text of %d bytes is too long to tokenise", len(text))
	}
	// A token is a byte at least, but for the odd prefix that a tokenizer adds,
	// so that one call is enough.
	tokens := make([]Token, len(text)+16)
	n := m.tokenize(text, tokens, special)
	if n < 0 {
		tokens = make([]Token, -n)
		n = m.tokenize(text, tokens, special)
	}
	if n < 0 || n > len(tokens) {
		return nil, fmt.Errorf("llama.cpp could not tokenise a text of %d bytes", len(text))
	}
	return tokens[:n], nil
}

func (m *Model) tokenize(text string, into []Token, special bool) int {
	src := unsafe.StringData(text)
	dst := unsafe.SliceData(into)
	srcLen, dstLen := int32(len(text)), int32(len(into))
	addSpecial, parse := uint8(0), uint8(0)
	if special {
		parse = 1
	}
	var n ffi.Arg
	m.lib.tokenize.Call(unsafe.Pointer(&n), unsafe.Pointer(&m.vocab), unsafe.Pointer(&src), unsafe.Pointer(&srcLen),
		unsafe.Pointer(&dst), unsafe.Pointer(&dstLen), unsafe.Pointer(&addSpecial), unsafe.Pointer(&parse))
	runtime.KeepAlive(text)
	runtime.KeepAlive(into)
	return int(int32(n))
}
