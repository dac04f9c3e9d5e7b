package modelstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/models/gguf"
	"samovar/engine/models/shape"
)

// BadFile is a file that is no usable model.
type BadFile struct {
	Name       string // of the case
	Path       string
	WantReason string // a part of BadFileError.Reason
}

// Good returns the path of a small model that must be accepted.
func Good(t testing.TB) string {
	path, err := shape.Ensure(context.Background(), t.TempDir(), "tiny", nil)
	require.NoError(t, err)
	return path
}

// model is a small good one, taken apart.
type model struct {
	kvs     []gguf.KV
	tensors []gguf.Tensor
	data    []byte
}

func load(t testing.TB) (model, []byte) {
	path := Good(t)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := gguf.Open(path)
	require.NoError(t, err)
	return model{f.KVs(), f.Tensors, raw[f.DataOffset:]}, raw
}

func (m *model) set(key string, value any) {
	i := slices.IndexFunc(m.kvs, func(kv gguf.KV) bool { return kv.Key == key })
	if i < 0 {
		m.kvs = append(m.kvs, gguf.KV{Key: key, Value: value})
		return
	}
	m.kvs[i].Value = value
}

func (m *model) value(key string) any {
	return m.kvs[slices.IndexFunc(m.kvs, func(kv gguf.KV) bool { return kv.Key == key })].Value
}

func (m *model) drop(key string) {
	m.kvs = slices.DeleteFunc(m.kvs, func(kv gguf.KV) bool { return kv.Key == key })
}

func (m *model) tensor(name string) *gguf.Tensor {
	return &m.tensors[slices.IndexFunc(m.tensors, func(t gguf.Tensor) bool { return t.Name == name })]
}

func (m *model) encode(t testing.TB) []byte {
	var w gguf.Writer
	for _, kv := range m.kvs {
		w.Set(kv.Key, kv.Value)
	}
	for _, x := range m.tensors {
		w.Add(x.Name, x.Type, x.Dims...)
	}
	l, err := w.Layout()
	require.NoError(t, err)
	data := make([]byte, l.Size-int64(len(l.Header)))
	copy(data, m.data)
	return append(l.Header, data...)
}

// BadFiles writes the bad files into a temporary folder of the test.
func BadFiles(t testing.TB) []BadFile {
	dir := t.TempDir()
	var files []BadFile
	add := func(name, reason string, content []byte) {
		path := filepath.Join(dir, name+".gguf")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		files = append(files, BadFile{name, path, reason})
	}
	m, raw := load(t)
	for _, c := range byteCases {
		add(c.name, c.reason, c.change(slices.Clone(raw)))
	}
	for _, c := range modelCases {
		bad := model{slices.Clone(m.kvs), slices.Clone(m.tensors), m.data}
		c.change(&bad)
		add(c.name, c.reason, bad.encode(t))
	}
	folder := filepath.Join(dir, "a-folder.gguf")
	require.NoError(t, os.Mkdir(folder, 0o700))
	return append(files,
		BadFile{"a-folder", folder, "not a regular file"},
		BadFile{"absent", filepath.Join(dir, "absent.gguf"), "no such file"})
}

func put32(b []byte, at int, v uint32) []byte {
	binary.LittleEndian.PutUint32(b[at:], v)
	return b
}

func put64(b []byte, at int, v uint64) []byte {
	binary.LittleEndian.PutUint64(b[at:], v)
	return b
}

// Where things are in the header.
const (
	atVersion  = 4
	atTensors  = 8
	atKeys     = 16
	atFirstKey = 24
)

// after is the offset behind the first place where name stands as a string.
func after(b []byte, name string) int {
	framed := append(binary.LittleEndian.AppendUint64(nil, uint64(len(name))), name...)
	return bytes.Index(b, framed) + len(framed)
}

// matrix is where the fields of a two-dimensional tensor's entry are.
func matrix(b []byte, name string) (dims, kind, offset int) {
	at := after(b, name)
	return at, at + 4 + 16, at + 4 + 16 + 4
}

var byteCases = []struct {
	name, reason string
	change       func([]byte) []byte
}{
	{"empty", "0 bytes", func(b []byte) []byte { return nil }},
	{"three-bytes", "3 bytes", func(b []byte) []byte { return b[:3] }},
	{"only-magic", "ends inside the version", func(b []byte) []byte { return b[:4] }},
	{"cut-in-counts", "ends inside the key count", func(b []byte) []byte { return b[:20] }},
	{"cut-in-first-key", "ends inside a metadata key", func(b []byte) []byte { return b[:30] }},
	{"cut-in-tokens", "ends inside the metadata key", func(b []byte) []byte { return b[:after(b, "tokenizer.ggml.tokens")+100] }},
	{"cut-in-directory", "beyond the end", func(b []byte) []byte { return b[:after(b, "output_norm.weight")+6] }},
	{"cut-in-data", "beyond the end", func(b []byte) []byte { return b[:len(b)/2] }},
	{"cut-last-byte", "its tensors reach to", func(b []byte) []byte { return b[:len(b)-1] }},
	{"text", "letters GGUF", func([]byte) []byte { return []byte("This is not a model. It is a text.\n") }},
	{"web-page", "letters GGUF", func([]byte) []byte { return []byte("<!DOCTYPE html><title>404</title>") }},
	{"wrong-magic", "letters GGUF", func(b []byte) []byte { b[0] = 'g'; return b }},
	{"version-0", "format version 0", func(b []byte) []byte { return put32(b, atVersion, 0) }},
	{"version-1", "format version 1", func(b []byte) []byte { return put32(b, atVersion, 1) }},
	{"version-99", "format version 99", func(b []byte) []byte { return put32(b, atVersion, 99) }},
	{"big-endian", "big-endian", func(b []byte) []byte { return put32(b, atVersion, 3<<24) }},
	{"absurd-tensor-count", "18446744073709551615 tensors", func(b []byte) []byte { return put64(b, atTensors, 1<<64-1) }},
	{"absurd-key-count", "metadata keys; at most", func(b []byte) []byte { return put64(b, atKeys, 1<<60) }},
	{"absurd-key-length", "9223372036854775807 bytes; 1 to", func(b []byte) []byte { return put64(b, atFirstKey, 1<<63-1) }},
	{"empty-key", "has 0 bytes; 1 to", func(b []byte) []byte { return put64(b, atFirstKey, 0) }},
	{"absurd-string-length", "ends inside the metadata key \"general.name\"", func(b []byte) []byte {
		return put64(b, after(b, "general.name")+4, 1<<40)
	}},
	{"unknown-value-type", "unknown type 77", func(b []byte) []byte { return put32(b, after(b, "general.name"), 77) }},
	{"huge-array", "claims 1099511627776 elements", func(b []byte) []byte { return put64(b, after(b, "tokenizer.ggml.tokens")+8, 1<<40) }},
	{"long-array", "more bytes are announced", func(b []byte) []byte { return put64(b, after(b, "tokenizer.ggml.tokens")+8, 1<<20) }},
	{"array-of-arrays", "elements of the unknown type 9", func(b []byte) []byte { return put32(b, after(b, "tokenizer.ggml.tokens")+4, 9) }},
	{"five-dimensions", "5 dimensions", func(b []byte) []byte { at, _, _ := matrix(b, "token_embd.weight"); return put32(b, at, 5) }},
	{"zero-dimension", "dimension 0 is 0", func(b []byte) []byte { at, _, _ := matrix(b, "token_embd.weight"); return put64(b, at+4, 0) }},
	{"negative-dimension", "dimension 1 is -1", func(b []byte) []byte { at, _, _ := matrix(b, "token_embd.weight"); return put64(b, at+12, 1<<64-1) }},
	{"overflowing-dimensions", "overflow", func(b []byte) []byte {
		at, _, _ := matrix(b, "token_embd.weight")
		return put64(put64(b, at+4, 1<<40), at+12, 1<<40)
	}},
	{"half-a-block", "do not divide into blocks", func(b []byte) []byte { at, _, _ := matrix(b, "token_embd.weight"); return put64(b, at+4, 100) }},
	{"unknown-tensor-type", "unknown type 4711", func(b []byte) []byte { _, at, _ := matrix(b, "token_embd.weight"); return put32(b, at, 4711) }},
	{"tensor-outside", "lies beyond the end", func(b []byte) []byte { at, _, _ := matrix(b, "token_embd.weight"); return put64(b, at+12, 1<<30) }},
	{"tensor-far-away", "at the offset 1073741824 where", func(b []byte) []byte { _, _, at := matrix(b, "blk.0.attn_q.weight"); return put64(b, at, 1<<30) }},
	{"overlap", "overlaps the one before", func(b []byte) []byte { _, _, at := matrix(b, "blk.0.attn_q.weight"); return put64(b, at, 0) }},
	{"tensor-twice", "occurs twice", func(b []byte) []byte {
		at := after(b, "blk.1.attn_q.weight")
		copy(b[at-len("blk.1.attn_q.weight"):], "blk.0.attn_q.weight")
		return b
	}},
	{"key-twice", "occurs twice", func(b []byte) []byte {
		at := after(b, "llama.attention.value_length")
		at -= len("llama.attention.value_length")
		copy(b[at:], "llama.embedding_length")
		return append(put64(b[:at:at], at-8, uint64(len("llama.embedding_length"))), append([]byte("llama.embedding_length"), b[at+len("llama.attention.value_length"):]...)...)
	}},
}

var modelCases = []struct {
	name, reason string
	change       func(*model)
}{
	{"no-metadata", "which architecture", func(m *model) { m.kvs = nil }},
	{"no-tensors", "no token embedding", func(m *model) { m.tensors = nil }},
	{"no-architecture", "which architecture", func(m *model) { m.drop("general.architecture") }},
	{"architecture-number", "wrong type", func(m *model) { m.set("general.architecture", uint32(1)) }},
	{"unknown-architecture", `"hal9000" is not known`, func(m *model) { m.set("general.architecture", "hal9000") }},
	{"embedding-model", "embedding model", func(m *model) { m.set("general.architecture", "bert") }},
	{"projector", "projector", func(m *model) { m.set("general.architecture", "clip") }},
	{"adapter", "adapter (LoRA)", func(m *model) { m.set("general.type", "adapter") }},
	{"alignment-3", "alignment of the tensors is 3", func(m *model) { m.set("general.alignment", uint32(3)) }},
	{"alignment-text", "alignment of the tensors is big", func(m *model) { m.set("general.alignment", "big") }},
	{"no-layer-count", "does not give its number of layers", func(m *model) { m.drop("llama.block_count") }},
	{"zero-layers", "0 as its number of layers", func(m *model) { m.set("llama.block_count", uint32(0)) }},
	{"absurd-layers", "1000000 as its number of layers", func(m *model) { m.set("llama.block_count", uint32(1e6)) }},
	{"one-layer-more", "layer 2 has no tensors", func(m *model) { m.set("llama.block_count", uint32(3)) }},
	{"one-layer-less", "beyond its 1 layers", func(m *model) { m.set("llama.block_count", uint32(1)) }},
	{"layers-text", "wrong type", func(m *model) { m.set("llama.block_count", "two") }},
	{"zero-width", "0 as its width", func(m *model) { m.set("llama.embedding_length", uint32(0)) }},
	{"other-width", "its width is 256", func(m *model) { m.set("llama.embedding_length", uint32(256)) }},
	{"no-context", "does not give its context length", func(m *model) { m.drop("llama.context_length") }},
	{"zero-context", "0 as its context length", func(m *model) { m.set("llama.context_length", uint32(0)) }},
	{"zero-heads", "no attention heads", func(m *model) { m.set("llama.attention.head_count", uint32(0)) }},
	{"no-heads", "number of attention heads", func(m *model) { m.drop("llama.attention.head_count") }},
	{"zero-kv-heads", "no attention heads", func(m *model) { m.set("llama.attention.head_count_kv", uint32(0)) }},
	{"heads-do-not-divide", "do not divide", func(m *model) {
		m.set("llama.attention.head_count", uint32(3))
		m.set("llama.attention.head_count_kv", uint32(2))
	}},
	{"too-few-heads-listed", "for each of the 2 layers", func(m *model) { m.set("llama.attention.head_count", []uint32{2}) }},
	{"too-many-heads", "shape", func(m *model) { m.set("llama.attention.head_count", uint32(4)) }},
	{"rotation", "It rotates 4096 of the 64", func(m *model) { m.set("llama.rope.dimension_count", uint32(4096)) }},
	{"experts", "uses 9 of 8 experts", func(m *model) {
		m.set("llama.expert_count", uint32(8))
		m.set("llama.expert_used_count", uint32(9))
	}},
	{"absurd-experts", "of 4096 experts", func(m *model) { m.set("llama.expert_count", uint32(4096)) }},
	{"no-feed-forward", "feed-forward part", func(m *model) { m.drop("llama.feed_forward_length") }},
	{"no-tokenizer", "no tokenizer", func(m *model) { m.drop("tokenizer.ggml.model") }},
	{"tokenizer-none", "no tokenizer", func(m *model) { m.set("tokenizer.ggml.model", "none") }},
	{"unknown-tokenizer", `"abacus" is not known`, func(m *model) { m.set("tokenizer.ggml.model", "abacus") }},
	{"no-tokens", "no tokenizer", func(m *model) { m.drop("tokenizer.ggml.tokens") }},
	{"tokens-are-numbers", "wrong type", func(m *model) { m.set("tokenizer.ggml.tokens", []int32{1, 2}) }},
	{"no-merges", "no merges", func(m *model) { m.drop("tokenizer.ggml.merges") }},
	{"too-few-types", "2 token types", func(m *model) { m.set("tokenizer.ggml.token_type", []int32{1, 1}) }},
	{"types-are-text", "wrong type", func(m *model) { m.set("tokenizer.ggml.token_type", "normal") }},
	{"equal-tokens", "are the same", func(m *model) {
		tokens := slices.Clone(m.value("tokenizer.ggml.tokens").([]string))
		tokens[300] = tokens[301]
		m.set("tokenizer.ggml.tokens", tokens)
	}},
	{"equal-up-to-nul", "are the same", func(m *model) {
		tokens := slices.Clone(m.value("tokenizer.ggml.tokens").([]string))
		tokens[301] = tokens[300] + "\x00more"
		m.set("tokenizer.ggml.tokens", tokens)
	}},
	{"nul-in-a-key", "holds a NUL byte", func(m *model) { m.set("general.na\x00me", "x") }},
	{"nul-in-a-tensor", "holds a NUL byte", func(m *model) { m.tensors[2].Name = "blk.0.attn\x00" }},
	{"fewer-tokens", "has 511 tokens, but its token embedding has 512", func(m *model) {
		tokens := slices.Clone(m.value("tokenizer.ggml.tokens").([]string))
		m.set("tokenizer.ggml.tokens", slices.Delete(tokens, 300, 301))
		m.set("tokenizer.ggml.eos_token_id", uint32(510))
		m.set("tokenizer.ggml.eot_token_id", uint32(510))
	}},
	{"eos-out-of-range", "Its eos token is 512", func(m *model) { m.set("tokenizer.ggml.eos_token_id", uint32(512)) }},
	{"bos-out-of-range", "Its bos token is 4294967295", func(m *model) { m.set("tokenizer.ggml.bos_token_id", uint32(1<<32-1)) }},
	{"template-number", "wrong type", func(m *model) { m.set("tokenizer.chat_template", uint32(7)) }},
	{"second-part", "part 2 of 3", func(m *model) {
		m.set("split.no", uint16(1))
		m.set("split.count", uint16(3))
	}},
	{"tensor-missing", "blk.1.ffn_up.weight is missing", func(m *model) { m.tensor("blk.1.ffn_up.weight").Name = "blk.1.nothing.weight" }},
	{"tensor-turned", "blk.0.ffn_up.weight has the shape [384 128]", func(m *model) {
		t := m.tensor("blk.0.ffn_up.weight")
		t.Dims = []int64{t.Dims[1], t.Dims[0]}
	}},
	{"norm-quantised", "has the type Q4_0", func(m *model) { m.tensor("output_norm.weight").Type = gguf.Q4_0 }},
}
