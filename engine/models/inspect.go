package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"samovar/engine/models/gguf"
)

// Facts is what a model file says about itself, checked.
type Facts struct {
	Path         string
	Name         string // general.name, else ""
	Architecture string
	Quantisation string // such as Q4_K_M; "" if unknown
	Class        Class
	Parameters   uint64
	FileBytes    int64 // of all parts
	TensorBytes  int64

	ContextTokens int // that the model was trained for
	Width         int
	Layers        int
	Heads         int   // query heads; of the widest layer where they differ
	KVHeads       int   // likewise
	LayerKVHeads  []int // for each layer; 0 where it keeps no keys and values
	KeySize       int   // of one head
	ValueSize     int
	FeedForward   int
	SlidingWindow int // 0 for none
	VocabSize     int
	ChatTemplate  string // "" if the file has none
	Sampling      Sampling
}

// Sampling is what a model file recommends; nil where it does not.
type Sampling struct {
	Temperature, TopP, MinP, PenaltyRepeat *float32
	TopK, PenaltyLastN                     *int32
}

// The most that is believed. llama.cpp asserts on more layers, heads' arrays
// and experts than it has room for (512 each).
const (
	maxLayers  = 512
	maxExperts = 512
	maxWidth   = 1 << 20
	maxHeads   = 1 << 14
	maxContext = 1 << 30
	maxParts   = 1000
	// maxTemplate bounds a chat template; the longest real ones have 20 KB.
	maxTemplate = 1 << 20
)

// Inspect reads a model file's header and checks that the engine can take it.
// Of a model in several parts, path is the first. A bad file gives a
// *BadFileError.
func Inspect(path string) (Facts, error) {
	h, err := readHeader(path)
	if err != nil {
		return Facts{}, err
	}
	f := h.facts()
	f.Path = path
	f.FileBytes = h.file.Size
	h.parts(path, &f)
	if h.err == nil {
		h.checkTensors(&f)
	}
	if h.err != nil {
		h.err.Path = path
		return Facts{}, h.err
	}
	return f, nil
}

func readHeader(path string) (*header, error) {
	file, err := gguf.Open(path)
	if err == nil {
		return &header{file: file, tensors: make(map[string]gguf.Tensor)}, nil
	}
	bad := &BadFileError{Path: path, Err: err}
	var format *gguf.FormatError
	switch {
	case errors.As(err, &format):
		bad.Reason = format.Detail
		bad.Hint = formatHint(path, format.Kind)
	case errors.Is(err, fs.ErrNotExist):
		bad.Reason, bad.Hint = "There is no such file.", "Check the path."
	case errors.Is(err, fs.ErrPermission):
		bad.Reason, bad.Hint = "It may not be read.", "Give yourself the permission to read it."
	default:
		bad.Reason, bad.Hint = fmt.Sprintf("It could not be read: %v.", err), "Check the disk, then try again."
	}
	return nil, bad
}

func formatHint(path string, kind gguf.Kind) string {
	switch kind {
	case gguf.NotGGUF:
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return "It is a folder: give the path of the .gguf file in it."
		}
		if err == nil && info.Size() == 0 {
			return hintDownload
		}
		return hintNotGGUF
	case gguf.BigEndian:
		return "Choose the little-endian file of this model."
	case gguf.Version:
		return hintOther
	case gguf.Unsupported:
		return hintNewer
	}
	return hintDownload
}

// facts reads and checks the metadata.
func (h *header) facts() (f Facts) {
	h.checkArchitecture()
	if h.err != nil {
		return f
	}
	f.Architecture = h.arch
	f.Name, _ = get[string](h, "general.name")
	if t, ok := get[uint32](h, "general.file_type"); ok {
		f.Quantisation = fileTypes[t]
	}
	f.Layers = h.require("block_count", "number of layers", maxLayers)
	f.Width = h.require("embedding_length", "width", maxWidth)
	f.ContextTokens = h.require("context_length", "context length", maxContext)
	if h.err != nil {
		return f
	}
	h.attention(&f)
	if ff, ok := h.perLayer("feed_forward_length", f.Layers); ok {
		for _, n := range ff {
			f.FeedForward = max(f.FeedForward, n)
		}
	}
	if window, ok := h.perLayer("attention.sliding_window", f.Layers); ok && len(window) > 0 {
		f.SlidingWindow = window[0]
	}
	f.Class = h.class(f.SlidingWindow)
	h.checkExperts()
	f.VocabSize = h.checkTokenizer()
	if f.ChatTemplate, _ = get[string](h, "tokenizer.chat_template"); len(f.ChatTemplate) > maxTemplate {
		h.damaged("Its chat template has %d bytes; at most %d are taken.", len(f.ChatTemplate), maxTemplate)
	}
	f.Sampling = Sampling{
		Temperature: h.float32p("general.sampling.temp"), TopP: h.float32p("general.sampling.top_p"),
		MinP: h.float32p("general.sampling.min_p"), PenaltyRepeat: h.float32p("general.sampling.penalty_repeat"),
		TopK: h.int32p("general.sampling.top_k"), PenaltyLastN: h.int32p("general.sampling.penalty_last_n"),
	}
	return f
}

// attention reads the heads and their sizes.
func (h *header) attention(f *Facts) {
	if recurrentArchitectures[h.arch] {
		f.LayerKVHeads = make([]int, f.Layers)
		return
	}
	heads, ok := h.perLayer("attention.head_count", f.Layers)
	if !ok {
		h.bad(fmt.Sprintf("It does not give its number of attention heads (%s.attention.head_count is missing).", h.arch), hintOther)
		return
	}
	kv, ok := h.perLayer("attention.head_count_kv", f.Layers)
	if !ok {
		kv = heads
	}
	for i, n := range heads {
		if n < 0 || n > maxHeads || kv[i] < 0 || kv[i] > maxHeads {
			h.damaged("Its layer %d has %d attention heads and %d KV heads.", i, n, kv[i])
			return
		}
		if kv[i] > 0 && n%kv[i] != 0 {
			h.damaged("Its layer %d has %d attention heads, which %d KV heads do not divide.", i, n, kv[i])
			return
		}
		f.Heads, f.KVHeads = max(f.Heads, n), max(f.KVHeads, kv[i])
	}
	if f.Heads == 0 || f.KVHeads == 0 {
		h.damaged("It says that it has no attention heads.")
		return
	}
	f.LayerKVHeads = kv
	if n := h.number("full_attention_interval"); n > 1 {
		for i := range kv {
			if (i+1)%n != 0 {
				kv[i] = 0
			}
		}
	}
	f.KeySize, f.ValueSize = f.Width/f.Heads, f.Width/f.Heads
	if n := h.number("attention.key_length"); n > 0 {
		f.KeySize = n
	}
	if n := h.number("attention.value_length"); n > 0 {
		f.ValueSize = n
	}
	if f.KeySize == 0 || f.KeySize > maxWidth || f.ValueSize == 0 || f.ValueSize > maxWidth {
		h.damaged("Its attention heads have the sizes %d and %d.", f.KeySize, f.ValueSize)
		return
	}
	if rot := h.number("rope.dimension_count"); rot > f.KeySize && h.arch == "llama" {
		h.damaged("It rotates %d of the %d numbers of a head.", rot, f.KeySize)
	}
}

func (h *header) checkExperts() {
	experts, used := h.number("expert_count"), h.number("expert_used_count")
	if experts > maxExperts || used > experts || experts > 0 && used == 0 {
		h.damaged("It says that it uses %d of %d experts.", used, experts)
	}
	if groups := h.number("expert_group_count"); groups > 1 && (groups >= experts || experts%groups != 0) {
		h.damaged("It says that its %d experts are in %d groups.", experts, groups)
	}
	if extra, layers := h.number("nextn_predict_layers"), h.number("block_count"); extra >= layers && extra > 0 {
		h.damaged("It says that %d of its %d layers predict further tokens.", extra, layers)
	}
}

// parts reads the other files of a model that was split, and collects all
// tensors.
func (h *header) parts(path string, f *Facts) {
	if h.err != nil {
		return
	}
	count, _ := get[uint16](h, "split.count")
	number, _ := get[uint16](h, "split.no")
	h.collect(h.file, f)
	if count <= 1 || h.err != nil {
		return
	}
	suffix := fmt.Sprintf("-%05d-of-%05d.gguf", 1, count)
	base, ok := strings.CutSuffix(path, suffix)
	if number != 0 || !ok || count > maxParts {
		h.bad(fmt.Sprintf("It is part %d of %d of a model.", number+1, count), "Give the path of the first part, with its name unchanged (it ends in "+suffix+").")
		return
	}
	for i := 2; i <= int(count); i++ {
		part := fmt.Sprintf("%s-%05d-of-%05d.gguf", base, i, count)
		file, err := gguf.Open(part)
		if err != nil {
			h.bad(fmt.Sprintf("Part %d of %d cannot be used (%s): %v", i, count, part, err), "Download the missing part into the same folder.")
			return
		}
		f.FileBytes += file.Size
		h.collect(file, f)
	}
}

func (h *header) collect(file *gguf.File, f *Facts) {
	for _, t := range file.Tensors {
		if _, twice := h.tensors[t.Name]; twice {
			h.damaged("Its tensor %s is in two of its parts.", quote(t.Name))
			return
		}
		h.tensors[t.Name] = t
		f.TensorBytes += int64(t.Size)
		f.Parameters += uint64(t.Elements())
	}
}
