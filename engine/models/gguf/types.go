package gguf

import (
	"fmt"
	"math"
)

// Limits that hold for every file; a real one stays far below each.
const (
	// MaxHeader bounds the bytes of metadata and tensor directory. The largest
	// real headers (260,000 tokens with merges and scores) are near 20 MB.
	MaxHeader = 64 << 20
	// MaxTensors and MaxKeys bound the two counts in the first bytes.
	MaxTensors = 1 << 17
	MaxKeys    = 1 << 14
	// MaxName bounds a key; llama.cpp itself refuses tensor names of 64 and more.
	MaxName       = 1 << 12
	maxTensorName = 63
	// MaxDims is ggml's GGML_MAX_DIMS.
	MaxDims = 4

	defaultAlignment = 32
	maxAlignment     = 1 << 16
	magic            = "GGUF"
)

// valueType is the type tag of a metadata value.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// minSize is the least number of bytes that a value of this type takes in the file.
func (t valueType) minSize() uint64 {
	switch t {
	case typeUint8, typeInt8, typeBool:
		return 1
	case typeUint16, typeInt16:
		return 2
	case typeUint32, typeInt32, typeFloat32:
		return 4
	case typeString, typeUint64, typeInt64, typeFloat64:
		return 8
	}
	return 0
}

// Type is a ggml tensor type.
type Type uint32

// The tensor types that Samovar itself writes.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
	Q6_K Type = 14
)

type layout struct {
	name  string
	block int64 // elements in a block
	size  int64 // bytes of a block
}

// layouts is what ggml_type_name, ggml_blck_size and ggml_type_size of
// llama.cpp v0.4.0 answer.
var layouts = map[Type]layout{
	0: {"F32", 1, 4}, 1: {"F16", 1, 2},
	2: {"Q4_0", 32, 18}, 3: {"Q4_1", 32, 20},
	6: {"Q5_0", 32, 22}, 7: {"Q5_1", 32, 24},
	8: {"Q8_0", 32, 34}, 9: {"Q8_1", 32, 36},
	10: {"Q2_K", 256, 84}, 11: {"Q3_K", 256, 110}, 12: {"Q4_K", 256, 144},
	13: {"Q5_K", 256, 176}, 14: {"Q6_K", 256, 210}, 15: {"Q8_K", 256, 292},
	16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74}, 18: {"IQ3_XXS", 256, 98},
	19: {"IQ1_S", 256, 50}, 20: {"IQ4_NL", 32, 18}, 21: {"IQ3_S", 256, 110},
	22: {"IQ2_S", 256, 82}, 23: {"IQ4_XS", 256, 136},
	24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},
	28: {"F64", 1, 8}, 29: {"IQ1_M", 256, 56}, 30: {"BF16", 1, 2},
	34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66}, 39: {"MXFP4", 32, 17},
	40: {"NVFP4", 64, 36}, 41: {"Q1_0", 128, 18}, 42: {"Q2_0", 64, 18},
}

// Known reports whether the pinned engine knows the type.
func (t Type) Known() bool { _, ok := layouts[t]; return ok }

func (t Type) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// RowBytes is the size of n elements of the type; ok is false when n is not a
// whole number of blocks.
func (t Type) RowBytes(n int64) (size int64, ok bool) {
	l, known := layouts[t]
	if !known || n < 0 || n%l.block != 0 || n/l.block > math.MaxInt64/l.size {
		return 0, false
	}
	return n / l.block * l.size, true
}

// Tensor is one entry of a file's tensor directory.
type Tensor struct {
	Name   string
	Type   Type
	Dims   []int64 // the first is the row length
	Offset uint64  // from the start of the tensor data
	Size   uint64  // in bytes, without padding
}

// Elements is the number of values in the tensor.
func (t Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// tensorSize computes a tensor's bytes and refuses what would overflow or
// does not divide into blocks.
func tensorSize(t Type, dims []int64) (uint64, error) {
	if len(dims) == 0 || len(dims) > MaxDims {
		return 0, fmt.Errorf("it has %d dimensions; 1 to %d are allowed", len(dims), MaxDims)
	}
	rows := int64(1)
	for i, d := range dims {
		if d <= 0 {
			return 0, fmt.Errorf("dimension %d is %d", i, d)
		}
		if i > 0 {
			if rows > math.MaxInt64/d {
				return 0, fmt.Errorf("its dimensions %v overflow", dims)
			}
			rows *= d
		}
	}
	if dims[0] > math.MaxInt64/rows {
		return 0, fmt.Errorf("its dimensions %v overflow", dims)
	}
	row, ok := t.RowBytes(dims[0])
	if !ok {
		return 0, fmt.Errorf("its rows of %d do not divide into blocks of %v", dims[0], t)
	}
	if row > math.MaxInt64/rows {
		return 0, fmt.Errorf("its dimensions %v overflow", dims)
	}
	return uint64(row) * uint64(rows), nil
}
