package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Writer collects metadata and a tensor directory and lays them out. It does
// not hold tensor data: the caller writes it at the offsets that Layout gives,
// in any order and from any number of goroutines.
type Writer struct {
	kvs     []KV
	tensors []Tensor
	err     error
}

// KV is one metadata entry. Value is one of uint8 … uint64, int8 … int64,
// float32, float64, bool, string, or a slice of one of them.
type KV struct {
	Key   string
	Value any
}

// Set adds a metadata entry, replacing one of the same key.
func (w *Writer) Set(key string, value any) {
	for i := range w.kvs {
		if w.kvs[i].Key == key {
			w.kvs[i].Value = value
			return
		}
	}
	w.kvs = append(w.kvs, KV{key, value})
}

// Add appends a tensor; the first of dims is the row length.
func (w *Writer) Add(name string, t Type, dims ...int64) {
	size, err := tensorSize(t, dims)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("the tensor %s cannot be laid out: %w", name, err)
	}
	var offset uint64
	if n := len(w.tensors); n > 0 {
		last := w.tensors[n-1]
		offset = align(last.Offset+last.Size, defaultAlignment)
	}
	w.tensors = append(w.tensors, Tensor{Name: name, Type: t, Dims: dims, Offset: offset, Size: size})
}

// Layout is a complete header and where the tensor data goes behind it.
type Layout struct {
	Header  []byte // padded; tensor data starts at len(Header)
	Tensors []Tensor
	Size    int64 // of the whole file
}

// Layout encodes the header.
func (w *Writer) Layout() (Layout, error) {
	if w.err != nil {
		return Layout{}, w.err
	}
	le := binary.LittleEndian
	b := []byte(magic)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(w.tensors)))
	b = le.AppendUint64(b, uint64(len(w.kvs)))
	for _, kv := range w.kvs {
		b = appendString(b, kv.Key)
		var err error
		if b, err = appendValue(b, kv.Value); err != nil {
			return Layout{}, fmt.Errorf("the metadata key %s cannot be written: %w", kv.Key, err)
		}
	}
	var data uint64
	for _, t := range w.tensors {
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, t.Offset)
		data = align(t.Offset+t.Size, defaultAlignment)
	}
	for len(b)%defaultAlignment != 0 {
		b = append(b, 0)
	}
	return Layout{Header: b, Tensors: w.tensors, Size: int64(len(b)) + int64(data)}, nil
}

func align(n, to uint64) uint64 { return (n + to - 1) / to * to }

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func appendValue(b []byte, v any) ([]byte, error) {
	le := binary.LittleEndian
	tag := func(t valueType) []byte { return le.AppendUint32(b, uint32(t)) }
	switch v := v.(type) {
	case uint8:
		return append(tag(typeUint8), v), nil
	case int8:
		return append(tag(typeInt8), byte(v)), nil
	case uint16:
		return le.AppendUint16(tag(typeUint16), v), nil
	case int16:
		return le.AppendUint16(tag(typeInt16), uint16(v)), nil
	case uint32:
		return le.AppendUint32(tag(typeUint32), v), nil
	case int32:
		return le.AppendUint32(tag(typeInt32), uint32(v)), nil
	case uint64:
		return le.AppendUint64(tag(typeUint64), v), nil
	case int64:
		return le.AppendUint64(tag(typeInt64), uint64(v)), nil
	case float32:
		return le.AppendUint32(tag(typeFloat32), math.Float32bits(v)), nil
	case float64:
		return le.AppendUint64(tag(typeFloat64), math.Float64bits(v)), nil
	case bool:
		if v {
			return append(tag(typeBool), 1), nil
		}
		return append(tag(typeBool), 0), nil
	case string:
		return appendString(tag(typeString), v), nil
	}
	b = tag(typeArray)
	head := func(t valueType, n int) {
		b = le.AppendUint64(le.AppendUint32(b, uint32(t)), uint64(n))
	}
	switch v := v.(type) {
	case []string:
		head(typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
	case []int32:
		head(typeInt32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, uint32(x))
		}
	case []uint32:
		head(typeUint32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, x)
		}
	case []float32:
		head(typeFloat32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	case []uint8:
		head(typeUint8, len(v))
		b = append(b, v...)
	case []bool:
		head(typeBool, len(v))
		for _, x := range v {
			n := byte(0)
			if x {
				n = 1
			}
			b = append(b, n)
		}
	default:
		return nil, fmt.Errorf("GGUF has no type for %T", v)
	}
	return b, nil
}
