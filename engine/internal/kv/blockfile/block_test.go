package blockfile

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
)

func tokens(n int) []Token {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	t := make([]Token, n)
	for i := range t {
		t[i] = r.Int32N(32000)
	}
	return t
}

var root = Fingerprint{Model: [32]byte{1}, KeyType: "f16", ValueType: "f16", Library: "v0.4.0"}.ID()

func examples() []Block {
	all := tokens(BlockTokens + 40)
	first := Block{Kind: KindBlock, Tokens: all[:BlockTokens], Fingerprint: root, Parent: root,
		Digests: []Digest{{After: 3, Logits: []Logit{{1, 2}}}, {After: BlockTokens, Logits: []Logit{{7, 3.5}, {9, -1}}}}, Payload: []byte("keys and values")}
	behind := Block{Position: BlockTokens, Fingerprint: root, Parent: first.ID(), Payload: []byte("more")}
	tail, check, empty := behind, behind, behind
	tail.Kind, tail.Tokens, tail.Digests = KindTail, all[BlockTokens:], []Digest{{After: 7, Logits: make([]Logit, MaxLogits)}}
	for i := range MaxLogits {
		tail.Digests[0].Logits[i] = Logit{Token(3 * i), 20 - float32(i)/4}
	}
	check.Kind, check.Tokens = KindCheckpoint, all[BlockTokens:]
	empty.Kind, empty.Tokens, empty.Digests = KindCheckpoint, []Token{}, []Digest{{After: 0, Logits: []Logit{{5, 6}}}}
	return []Block{first, tail, check, empty}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	seen := map[ID]bool{}
	for _, b := range examples() {
		data, err := b.Encode()
		require.NoError(t, err)
		require.Len(t, data, b.Size())
		got, err := Decode(data, b.ID(), root)
		require.NoError(t, err)
		require.Equal(t, b, got)
		require.False(t, seen[b.ID()], "kinds have ids of their own")
		seen[b.ID()] = true
		id, ok := ParseID(b.ID().String())
		require.True(t, ok)
		require.Equal(t, b.ID(), id)
	}
}

// Every bit flipped and every length but the right one is refused, with a reason.
func TestNothingAlteredIsRead(t *testing.T) {
	reasons := map[Reason]int{}
	refused := func(b Block, data []byte) {
		_, err := Decode(data, b.ID(), root)
		var e *Error
		require.ErrorAs(t, err, &e)
		reasons[e.Reason]++
	}
	for _, b := range examples() {
		data, err := b.Encode()
		require.NoError(t, err)
		for i := range 8 * len(data) {
			data[i/8] ^= 1 << (i % 8)
			refused(b, data)
			data[i/8] ^= 1 << (i % 8)
		}
		for n := range data {
			refused(b, data[:n])
		}
		refused(b, append(data, 0))
	}
	for _, r := range []Reason{ReasonShort, ReasonMagic, ReasonVersion, ReasonHeader, ReasonField, ReasonPayload} {
		require.Positive(t, reasons[r], r)
	}
}

// Fields that are wrong with a right checksum, as a faulty or hostile writer makes them.
func TestFieldsThatMakeNoSense(t *testing.T) {
	b := examples()[1]
	for name, alter := range map[string]struct {
		reason Reason
		how    func([]byte)
	}{
		"another kind":     {ReasonID, func(d []byte) { d[10] = byte(KindCheckpoint) }},
		"a block's kind":   {ReasonField, func(d []byte) { d[10] = byte(KindBlock) }},
		"no kind":          {ReasonField, func(d []byte) { d[10] = 0 }},
		"reserved":         {ReasonField, func(d []byte) { d[11] = 1 }},
		"position 0":       {ReasonField, func(d []byte) { d[12], d[13] = 0, 0 }},
		"ragged position":  {ReasonField, func(d []byte) { d[12] = 1 }},
		"absurd position":  {ReasonField, func(d []byte) { d[15] = 0xff }},
		"absurd payload":   {ReasonField, func(d []byte) { d[31] = 0xff }},
		"another parent":   {ReasonID, func(d []byte) { d[64] ^= 1 }},
		"another token":    {ReasonID, func(d []byte) { d[fixedBytes] ^= 1 }},
		"a negative token": {ReasonField, func(d []byte) { d[fixedBytes+3] = 0x80 }},
		"another id":       {ReasonID, func(d []byte) { d[96] ^= 1 }},
		"too many digests": {ReasonField, func(d []byte) { d[20] = MaxDigests + 1 }},
		"a longer payload": {ReasonShort, func(d []byte) { d[24]++ }},
		"another model's":  {ReasonFingerprint, func(d []byte) { d[32] ^= 1 }},
		"its own model's":  {ReasonPayload, func(d []byte) { d[128] ^= 1 }},
	} {
		data, err := b.Encode()
		require.NoError(t, err)
		alter.how(data)
		end := b.Size() - len(b.Payload) - 8
		binary.LittleEndian.PutUint64(data[end:], xxh3.Hash(data[:end]))
		_, err = Decode(data, b.ID(), root)
		var e *Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, alter.reason, e.Reason, name)
	}
}

func TestASwappedFileIsAnotherBlock(t *testing.T) {
	all := examples()
	data, err := all[0].Encode()
	require.NoError(t, err)
	_, err = Decode(data, all[1].ID(), root)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, ReasonID, e.Reason)
}

func TestBlocksThatMakeNoSenseAreNotWritten(t *testing.T) {
	for _, alter := range []func(*Block){
		func(b *Block) { b.Payload = nil },
		func(b *Block) { b.Tokens = nil },
		func(b *Block) { b.Position = 1 },
		func(b *Block) { b.Position = BlockTokens },
		func(b *Block) { b.Kind = 9 },
		func(b *Block) { b.Digests[0].Logits = make([]Logit, MaxLogits+1) },
		func(b *Block) { b.Digests[0].Logits = nil },
		func(b *Block) { b.Digests[1].Logits[1].Value = 3.75 },
		func(b *Block) { b.Digests[1].Logits[1].Value = float32(math.NaN()) },
		func(b *Block) { b.Digests[0].After = 0 },
		func(b *Block) { b.Digests[0].After = BlockTokens },
		func(b *Block) { b.Digests[1].After = BlockTokens + 1 },
		func(b *Block) { b.Digests = make([]Digest, MaxDigests+1) },
	} {
		b := examples()[0]
		alter(&b)
		_, err := b.Encode()
		require.Error(t, err)
	}
}

// Ids depend on every token and on everything before, and on each of the fingerprint's fields.
func TestIDs(t *testing.T) {
	all := tokens(4*BlockTokens + 3)
	ids := Chain(root, all)
	require.Len(t, ids, 4)
	require.Equal(t, ids[:2], Chain(root, all[:2*BlockTokens+1]))
	all[BlockTokens]++
	other := Chain(root, all)
	require.Equal(t, ids[0], other[0])
	for i := 1; i < 4; i++ {
		require.NotEqual(t, ids[i], other[i])
	}
	base := Fingerprint{KeyType: "a", ValueType: "b", RoPE: "c", Adapters: "d", Library: "e", Layout: "f", Namespace: "g"}
	seen := map[ID]bool{base.ID(): true}
	for _, alter := range []func(*Fingerprint){
		func(f *Fingerprint) { f.Model[31] = 1 }, func(f *Fingerprint) { f.KeyType = "x" },
		func(f *Fingerprint) { f.ValueType = "x" }, func(f *Fingerprint) { f.RoPE = "x" },
		func(f *Fingerprint) { f.Adapters = "x" }, func(f *Fingerprint) { f.Library = "x" },
		func(f *Fingerprint) { f.Layout = "x" }, func(f *Fingerprint) { f.Namespace = "x" },
		func(f *Fingerprint) { f.KeyType, f.ValueType = "ab", "" },
	} {
		f := base
		alter(&f)
		require.False(t, seen[f.ID()])
		seen[f.ID()] = true
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range examples() {
		data, _ := b.Encode()
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHead(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		b, err := Decode(data, h.ID(), h.Fingerprint)
		if err != nil {
			return
		}
		again, err := b.Encode()
		if err != nil || string(again) != string(data) {
			t.Fatalf("what is read is not what was written: %v", err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	block := examples()[0]
	block.Payload = make([]byte, 3<<20)
	data, _ := block.Encode()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Decode(data, block.ID(), root); err != nil {
			b.Fatal(err)
		}
	}
}
