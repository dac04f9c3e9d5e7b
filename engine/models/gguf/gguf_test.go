package gguf

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is a small file with a value of each kind.
func sample(t testing.TB) []byte {
	var w Writer
	for key, v := range map[string]any{"u8": uint8(1), "i8": int8(-1), "u16": uint16(2), "i16": int16(-2),
		"u64": uint64(1 << 40), "i64": int64(-5), "f64": 2.5, "yes": true} {
		w.Set(key, v)
	}
	w.Set("general.architecture", "llama")
	w.Set("u32", uint32(7))
	w.Set("f32", float32(0.5))
	w.Set("strings", []string{"a", "", "ä"})
	w.Set("ints", []int32{-1, 2})
	w.Set("floats", []float32{1.5})
	w.Set("bools", []bool{true, false})
	w.Set("u32s", []uint32{9})
	w.Set("general.alignment", uint32(32))
	w.Add("one", F32, 3)
	w.Add("two", Q4_0, 64, 5)
	l, err := w.Layout()
	require.NoError(t, err)
	b := make([]byte, l.Size)
	copy(b, l.Header)
	return b
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	b := sample(t)
	f, err := Parse(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for key, want := range map[string]any{"u8": uint8(1), "i8": int8(-1), "u16": uint16(2), "i16": int16(-2), "u32": uint32(7),
		"u64": uint64(1 << 40), "i64": int64(-5), "f32": float32(0.5), "f64": 2.5, "yes": true, "strings": []string{"a", "", "ä"},
		"ints": []int32{-1, 2}, "floats": []float32{1.5}, "bools": []bool{true, false}, "u32s": []uint32{9}} {
		got, ok := f.Value(key)
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	require.Len(t, f.KVs(), 17)
	require.Equal(t, []Tensor{
		{Name: "one", Type: F32, Dims: []int64{3}, Size: 12},
		{Name: "two", Type: Q4_0, Dims: []int64{64, 5}, Offset: 32, Size: 180},
	}, f.Tensors)
	require.Zero(t, f.DataOffset%32)
}

func TestWriterRefusesWhatCannotBe(t *testing.T) {
	var w Writer
	w.Add("bad", Q4_0, 33)
	_, err := w.Layout()
	require.ErrorContains(t, err, "the tensor bad cannot be laid out")
	w = Writer{}
	w.Set("bad", struct{}{})
	_, err = w.Layout()
	require.ErrorContains(t, err, "the metadata key bad cannot be written")
}

func TestSizesDoNotOverflow(t *testing.T) {
	for _, dims := range [][]int64{{math.MaxInt64}, {math.MaxInt64 / 2, 3}, {4, math.MaxInt64, 2}, {1 << 32, 1 << 31}, {}, {0}, {-1}, {1, 1, 1, 1, 1}} {
		_, err := tensorSize(F32, dims)
		require.Error(t, err, "%v", dims)
	}
}

// TestAllocationIsBounded opens a sparse file of 4 GiB whose header claims as
// much as is believed.
func TestAllocationIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.gguf")
	b := sample(t)
	at := bytes.Index(b, []byte("strings")) + len("strings") + 8
	for i := range 8 {
		b[at+i] = 0
	}
	b[at+2] = 0x70 // 7,340,032 strings, all empty: zeros follow
	require.NoError(t, os.WriteFile(path, b[:at+8], 0o600))
	require.NoError(t, os.Truncate(path, 4<<30))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Open(path)
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*MaxHeader))
}

func FuzzParse(f *testing.F) {
	b := sample(f)
	f.Add(b)
	for _, n := range []int{0, 3, 4, 8, 24, len(b) / 3, len(b) / 2, len(b) - 1} {
		f.Add(b[:n])
	}
	for _, at := range []int{0, 4, 8, 16, 24, 40, len(b) / 2, len(b) - 1} {
		m := bytes.Clone(b)
		m[at] ^= 0x81
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.NotEmpty(t, format.Detail)
			return
		}
		// What was accepted lies in the file, in order, apart.
		end := uint64(file.DataOffset)
		for _, x := range file.Tensors {
			start := uint64(file.DataOffset) + x.Offset
			require.GreaterOrEqual(t, start, end)
			end = start + x.Size
			require.LessOrEqual(t, end, uint64(len(b)))
			require.Positive(t, x.Elements())
		}
	})
}
