package blockfile

import (
	"encoding/binary"
	"encoding/hex"

	"lukechampine.com/blake3"
)

// Token is a token's number in the model's vocabulary.
type Token = int32

// BlockTokens is how many tokens a block has.
const BlockTokens = 256

// ID names a block and, through its parent, the chain that it ends.
type ID [32]byte

// String returns the id in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (id ID, ok bool) {
	n, err := hex.Decode(id[:], []byte(s[:min(len(s), 2*len(id))]))
	return id, err == nil && n == len(id) && len(s) == 2*len(id)
}

// Fingerprint is everything that KV depends on besides the tokens. KV of one
// fingerprint means nothing to a model of another.
type Fingerprint struct {
	// Model is the digest of the model's file.
	Model [32]byte
	// KeyType and ValueType are the types of the cache, such as f16.
	KeyType, ValueType string
	// RoPE and Adapters are their settings, in any form that differs when they do.
	RoPE, Adapters string
	// Library is the version of llama.cpp, and Layout what else decides how it lays
	// its state out.
	Library, Layout string
	// Namespace keeps apart what must not be shared.
	Namespace string
}

// ID returns the parent of first blocks.
func (f Fingerprint) ID() ID {
	h := blake3.New(32, nil)
	field := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	field([]byte{version})
	field(f.Model[:])
	for _, s := range []string{f.KeyType, f.ValueType, f.RoPE, f.Adapters, f.Library, f.Layout, f.Namespace} {
		field([]byte(s))
	}
	return ID(h.Sum(nil))
}

// ChainID returns the id of a block with these tokens behind parent.
func ChainID(kind Kind, parent ID, tokens []Token) ID {
	b := make([]byte, 0, 1+len(parent)+4*len(tokens))
	b = append(b, byte(kind))
	b = append(b, parent[:]...)
	return ID(blake3.Sum256(appendTokens(b, tokens)))
}

// Chain returns the ids of the whole blocks of tokens behind root, the first first.
func Chain(root ID, tokens []Token) []ID {
	ids := make([]ID, 0, len(tokens)/BlockTokens)
	for ; len(tokens) >= BlockTokens; tokens = tokens[BlockTokens:] {
		root = ChainID(KindBlock, root, tokens[:BlockTokens])
		ids = append(ids, root)
	}
	return ids
}

func appendTokens(b []byte, tokens []Token) []byte {
	for _, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	return b
}
