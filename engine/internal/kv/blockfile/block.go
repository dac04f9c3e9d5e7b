package blockfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"
)

// Kind is what a file holds.
type Kind byte

const (
	// KindBlock is the KV of BlockTokens tokens.
	KindBlock Kind = 1
	// KindTail is that of fewer: the ragged end of a chain.
	KindTail Kind = 2
	// KindCheckpoint is the state of a sliding window or of recurrent layers after
	// its tokens, which are those since the last block.
	KindCheckpoint Kind = 3
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindBlock:
		return "block"
	case KindTail:
		return "tail"
	case KindCheckpoint:
		return "checkpoint"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Block is one file's content.
type Block struct {
	Kind Kind
	// Position is that of the first token in its chain.
	Position int
	Tokens   []Token
	// Fingerprint is the chain's, Parent the block before, or the fingerprint.
	Fingerprint, Parent ID
	// Digests are of the logits after some of the tokens, in their order.
	Digests []Digest
	// Payload is the state as llama.cpp gave it.
	Payload []byte
}

// Digest is what the model gave after a token: the likeliest tokens, the likeliest
// first.
type Digest struct {
	// After is how many of the block's tokens precede the logits.
	After  int
	Logits []Logit
}

// Logit is a token with the logit that the model gave it.
type Logit struct {
	Token Token
	Value float32
}

// ID returns the block's id.
func (b Block) ID() ID { return ChainID(b.Kind, b.Parent, b.Tokens) }

// End is the position behind the last token.
func (b Block) End() int { return b.Position + len(b.Tokens) }

const (
	magic       = "samovarK"
	version     = 3
	fixedBytes  = 136
	maxPosition = math.MaxInt32 - BlockTokens
)

// MaxDigests is how many digests a block has at most, MaxLogits how many logits each.
const (
	MaxDigests = 4
	MaxLogits  = 64
)

// MaxHeader is the most bytes of a file before its payload.
const MaxHeader = fixedBytes + 4*BlockTokens + MaxDigests*(8+8*MaxLogits) + 8

// Size is how many bytes Encode makes of b.
func (b Block) Size() int {
	n := fixedBytes + 4*len(b.Tokens) + 8 + len(b.Payload)
	for _, d := range b.Digests {
		n += 8 + 8*len(d.Logits)
	}
	return n
}

// Header returns what precedes the payload in the file. It is an error to give it a
// block that Decode would refuse.
func (b Block) Header() ([]byte, error) {
	if why := b.check(); why != "" {
		return nil, &Error{ReasonField, why}
	}
	h := make([]byte, 0, b.Size()-len(b.Payload))
	h = append(h, magic...)
	h = binary.LittleEndian.AppendUint16(h, version)
	h = append(h, byte(b.Kind), 0)
	h = binary.LittleEndian.AppendUint32(h, uint32(b.Position))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(b.Tokens)))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(b.Digests)))
	h = binary.LittleEndian.AppendUint64(h, uint64(len(b.Payload)))
	h = append(h, b.Fingerprint[:]...)
	h = append(h, b.Parent[:]...)
	id := b.ID()
	h = append(h, id[:]...)
	h = binary.LittleEndian.AppendUint64(h, xxh3.Hash(b.Payload))
	h = appendTokens(h, b.Tokens)
	for _, d := range b.Digests {
		h = binary.LittleEndian.AppendUint32(h, uint32(d.After))
		h = binary.LittleEndian.AppendUint32(h, uint32(len(d.Logits)))
		for _, l := range d.Logits {
			h = binary.LittleEndian.AppendUint32(h, uint32(l.Token))
			h = binary.LittleEndian.AppendUint32(h, math.Float32bits(l.Value))
		}
	}
	return binary.LittleEndian.AppendUint64(h, xxh3.Hash(h)), nil
}

// Encode returns the whole file.
func (b Block) Encode() ([]byte, error) {
	h, err := b.Header()
	return append(h, b.Payload...), err
}

// check says what is wrong with a block; "" if nothing is.
func (b Block) check() string {
	least, most := 0, BlockTokens-1
	switch b.Kind {
	case KindBlock:
		least, most = BlockTokens, BlockTokens
	case KindTail:
		least = 1
	case KindCheckpoint:
	default:
		return fmt.Sprintf("its kind is %d", byte(b.Kind))
	}
	switch {
	case len(b.Tokens) < least || len(b.Tokens) > most:
		return fmt.Sprintf("a %v of %d tokens", b.Kind, len(b.Tokens))
	case b.Position < 0 || b.Position > maxPosition || b.Position%BlockTokens != 0:
		return fmt.Sprintf("it begins at position %d", b.Position)
	case (b.Position == 0) != (b.Parent == b.Fingerprint):
		return fmt.Sprintf("its parent does not fit its position, %d", b.Position)
	case b.End() == 0:
		return "a checkpoint of nothing"
	case len(b.Digests) > MaxDigests:
		return fmt.Sprintf("%d digests", len(b.Digests))
	case len(b.Payload) == 0:
		return "it has no payload"
	}
	last := -1
	for _, d := range b.Digests {
		// Only a checkpoint of no tokens has logits before its first.
		if d.After <= last || d.After > len(b.Tokens) || d.After == 0 && len(b.Tokens) > 0 {
			return fmt.Sprintf("a digest after %d of %d tokens", d.After, len(b.Tokens))
		}
		if len(d.Logits) == 0 || len(d.Logits) > MaxLogits {
			return fmt.Sprintf("a digest of %d logits", len(d.Logits))
		}
		for i, l := range d.Logits[1:] {
			if !(l.Value <= d.Logits[i].Value) { // nor is it a number
				return fmt.Sprintf("a digest that has %g after %g", l.Value, d.Logits[i].Value)
			}
		}
		last = d.After
	}
	for _, t := range b.Tokens {
		if t < 0 {
			return fmt.Sprintf("token %d", t)
		}
	}
	return ""
}
