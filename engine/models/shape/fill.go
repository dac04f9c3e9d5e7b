package shape

import (
	"encoding/binary"
	"hash/fnv"
	"math"

	"samovar/engine/models/gguf"
)

// random is SplitMix64: tiny, fast, and the same for ever.
type random uint64

func newRandom(shape, tensor string, chunk int) random {
	h := fnv.New64a()
	h.Write([]byte(shape))
	h.Write([]byte{0})
	h.Write([]byte(tensor))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(chunk)))
	return random(h.Sum64())
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) bytes(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, r.next())
	}
	if len(b) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.next())
		copy(b, last[:])
	}
}

// weights fills b, whole blocks of a tensor, with noise of the standard
// deviation sd. Quantised blocks are random bits under a fixed scale. Its sign
// is random, because the levels of Q4_0 (-8…7) and Q6_K (-32…31) are not
// centred and a common mean would grow from layer to layer.
func weights(b []byte, t gguf.Type, sd float64, r random) {
	le := binary.LittleEndian
	switch t {
	case gguf.F32:
		for i := 0; i < len(b); i += 4 {
			le.PutUint32(b[i:], math.Float32bits(float32(r.normal()*sd)))
		}
	case gguf.Q4_0: // f16 scale, 32 nibbles; root mean square of -8…7 is 4.637
		scale := half(sd / 4.637)
		r.bytes(b)
		for i := 0; i < len(b); i += 18 {
			le.PutUint16(b[i:], scale|uint16(b[i+1]&0x80)<<8)
		}
	case gguf.Q6_K: // 128 low nibbles, 64 high pairs, 16 int8 scales, f16 scale
		scale := half(sd / (18.48 * 64))
		r.bytes(b)
		for i := 0; i < len(b); i += 210 {
			for j := i + 192; j < i+208; j++ {
				b[j] = 64 - b[j]&0x80 // 64, or -64 as 64-128
			}
			le.PutUint16(b[i+208:], scale)
		}
	}
}

// normal is nearly N(0, 1): the sum of four uniform numbers.
func (r *random) normal() float64 {
	z := r.next()
	sum := float64(z&0xffff) + float64(z>>16&0xffff) + float64(z>>32&0xffff) + float64(z>>48)
	return (sum/65536 - 2) * math.Sqrt(3)
}

func constants(b []byte, v float64) {
	bits := math.Float32bits(float32(v))
	for i := 0; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], bits)
	}
}

// half rounds a positive number to IEEE half precision, also where it is
// subnormal (below 6e-5, down to 6e-8).
func half(v float64) uint16 {
	fraction, exponent := math.Frexp(v) // v = fraction × 2^exponent, fraction in [0.5, 1)
	e := exponent + 14
	if e < 1 {
		return uint16(math.RoundToEven(math.Ldexp(v, 24)))
	}
	return uint16(e)<<10 + uint16(math.RoundToEven((fraction*2-1)*1024))
}
