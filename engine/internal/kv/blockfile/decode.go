package blockfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"
)

// Reason is why a file is not used, in words fit for a metric's label.
type Reason string

const (
	// ReasonShort: the file ends early, or goes on behind its payload.
	ReasonShort Reason = "size"
	// ReasonMagic: it is no block file.
	ReasonMagic Reason = "magic"
	// ReasonVersion: another version wrote it.
	ReasonVersion Reason = "version"
	// ReasonHeader: the checksum of the header is wrong.
	ReasonHeader Reason = "header_checksum"
	// ReasonField: a field makes no sense.
	ReasonField Reason = "field"
	// ReasonFingerprint: it is of another model, or of other settings.
	ReasonFingerprint Reason = "fingerprint"
	// ReasonID: its tokens are not those that its id stands for, or it is another
	// block than was asked for.
	ReasonID Reason = "id"
	// ReasonPayload: the checksum of the payload is wrong.
	ReasonPayload Reason = "payload_checksum"
)

// Error says why a file is not used.
type Error struct {
	Reason Reason
	Text   string
}

func (e *Error) Error() string { return "the block cannot be used: " + e.Text }

// Head is the part of a file before its payload, decoded.
type Head struct {
	Block // without its payload
	// PayloadBytes is how long the payload is, and Sum its XXH3-64.
	PayloadBytes int64
	Sum          uint64
	// Bytes is how long the head is.
	Bytes int
}

// DecodeHead checks and decodes what precedes the payload: the first bytes of a file,
// MaxHeader of them or all there are. Errors are of type *Error.
func DecodeHead(data []byte) (Head, error) {
	fail := func(r Reason, format string, a ...any) (Head, error) {
		return Head{}, &Error{r, fmt.Sprintf(format, a...)}
	}
	switch {
	case len(data) < len(magic) || string(data[:len(magic)]) != magic:
		return fail(ReasonMagic, "it is no block file")
	case len(data) < fixedBytes:
		return fail(ReasonShort, "it ends within its header")
	}
	if v := binary.LittleEndian.Uint16(data[8:]); v != version {
		return fail(ReasonVersion, "its version is %d, not %d", v, version)
	}
	tokens, digests := binary.LittleEndian.Uint32(data[16:]), binary.LittleEndian.Uint32(data[20:])
	if tokens > BlockTokens || digests > MaxDigests {
		return fail(ReasonField, "it claims %d tokens and %d digests", tokens, digests)
	}
	end := fixedBytes + 4*int(tokens)
	for range digests {
		if len(data) < end+8 {
			return fail(ReasonShort, "it ends within its header")
		}
		logits := binary.LittleEndian.Uint32(data[end+4:])
		if logits > MaxLogits {
			return fail(ReasonField, "it claims a digest of %d logits", logits)
		}
		end += 8 + 8*int(logits)
	}
	if len(data) < end+8 {
		return fail(ReasonShort, "it ends within its header")
	}
	if xxh3.Hash(data[:end]) != binary.LittleEndian.Uint64(data[end:]) {
		return fail(ReasonHeader, "the checksum of its header is wrong")
	}
	payload := binary.LittleEndian.Uint64(data[24:])
	if payload == 0 || payload > math.MaxInt64-MaxHeader || data[11] != 0 {
		return fail(ReasonField, "it claims a payload of %d bytes", payload)
	}
	h := Head{PayloadBytes: int64(payload), Sum: binary.LittleEndian.Uint64(data[128:]), Bytes: end + 8}
	h.Kind = Kind(data[10])
	h.Position = int(binary.LittleEndian.Uint32(data[12:]))
	h.Fingerprint, h.Parent = ID(data[32:64]), ID(data[64:96])
	at := data[fixedBytes:]
	h.Tokens = make([]Token, tokens)
	for i := range h.Tokens {
		h.Tokens[i] = Token(binary.LittleEndian.Uint32(at[4*i:]))
	}
	at = at[4*tokens:]
	for range digests {
		d := Digest{After: int(binary.LittleEndian.Uint32(at)), Logits: make([]Logit, binary.LittleEndian.Uint32(at[4:]))}
		at = at[8:]
		for i := range d.Logits {
			d.Logits[i] = Logit{Token(binary.LittleEndian.Uint32(at)), math.Float32frombits(binary.LittleEndian.Uint32(at[4:]))}
			at = at[8:]
		}
		h.Digests = append(h.Digests, d)
	}
	full := h.Block
	full.Payload = data[:1] // of which there is one
	if why := full.check(); why != "" {
		return fail(ReasonField, "%s", why)
	}
	if ID(data[96:128]) != h.ID() {
		return fail(ReasonID, "its id does not stand for its tokens")
	}
	return h, nil
}

// Decode checks and decodes a whole file that should hold the block want of the
// fingerprint given. The payload is part of data, not a copy. Errors are of type *Error.
func Decode(data []byte, want, fingerprint ID) (Block, error) {
	h, err := DecodeHead(data)
	if err != nil {
		return Block{}, err
	}
	fail := func(r Reason, text string) (Block, error) { return Block{}, &Error{r, text} }
	b := h.Block
	b.Payload = data[h.Bytes:]
	switch {
	case b.Fingerprint != fingerprint:
		return fail(ReasonFingerprint, "it is of another model or other settings")
	case b.ID() != want:
		return fail(ReasonID, "it is another block than its name says")
	case int64(len(b.Payload)) != h.PayloadBytes:
		return fail(ReasonShort, fmt.Sprintf("its payload has %d bytes, not %d", len(b.Payload), h.PayloadBytes))
	case xxh3.Hash(b.Payload) != h.Sum:
		return fail(ReasonPayload, "the checksum of its payload is wrong")
	}
	return b, nil
}
