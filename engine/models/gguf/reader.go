package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// Kind says in what way a file is not a usable GGUF.
type Kind int

const (
	// NotGGUF: it is something else.
	NotGGUF Kind = iota + 1
	// BigEndian: a GGUF for machines with the other byte order.
	BigEndian
	// Version: a version of the format that is not read.
	Version
	// Truncated: the file ends before what it announces.
	Truncated
	// Damaged: a count, length, type or offset cannot be right.
	Damaged
	// Unsupported: well-formed as far as one can tell, but it uses something
	// that the engine does not know.
	Unsupported
)

// FormatError is what Open and Parse answer for a bad file.
type FormatError struct {
	Kind   Kind
	Detail string // whole sentence
}

func (e *FormatError) Error() string { return e.Detail }

// File is the header of a GGUF file whose every bound was checked.
type File struct {
	Version    uint32
	Size       int64 // of the whole file
	Alignment  uint64
	DataOffset int64
	Tensors    []Tensor
	kvs        []KV
	values     map[string]any
}

// Value returns a metadata value: one of the types that KV lists.
func (f *File) Value(key string) (any, bool) {
	v, ok := f.values[key]
	return v, ok
}

// KVs is the metadata in the file's order.
func (f *File) KVs() []KV { return f.kvs }

// Open reads the header of the file at path. An error is a *FormatError, or
// the operating system's.
func Open(path string) (*File, error) {
	// Stat first: opening a pipe could wait for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &FormatError{NotGGUF, "This is not a regular file."}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f, info.Size())
}

// Parse reads the header of a GGUF of the given size. It reads at most
// MaxHeader bytes and holds at most a small multiple of what it read.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	limit := min(size, MaxHeader)
	p := &parser{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, limit), 1<<16), size: uint64(max(size, 0))}
	f := &File{Size: size, Alignment: defaultAlignment}
	p.header(f)
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

// parser reads forward. After its first error every read gives zero.
type parser struct {
	r    *bufio.Reader
	off  uint64 // bytes read
	size uint64 // of the file
	err  error
}

func (p *parser) fail(kind Kind, format string, args ...any) {
	if p.err == nil {
		p.err = &FormatError{kind, fmt.Sprintf(format, args...)}
	}
}

// room checks that n more bytes can be read, before anything is allocated.
func (p *parser) room(n uint64, what string) bool {
	switch {
	case p.err != nil:
	case n > p.size-p.off:
		p.fail(Truncated, "The file ends inside %s: %d more bytes are announced and %d are left.", what, n, p.size-p.off)
	case p.off+n > MaxHeader:
		p.fail(Damaged, "The header is longer than %d MiB.", MaxHeader>>20)
	}
	return p.err == nil
}

func (p *parser) bytes(n uint64, what string) []byte {
	if !p.room(n, what) {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		p.err = err
		return nil
	}
	p.off += n
	return b
}

func (p *parser) fixed(n int, what string) uint64 {
	if !p.room(uint64(n), what) {
		return 0
	}
	var b [8]byte
	if _, err := io.ReadFull(p.r, b[:n]); err != nil {
		p.err = err
		return 0
	}
	p.off += uint64(n)
	return binary.LittleEndian.Uint64(b[:])
}

func (p *parser) uint32(what string) uint32 { return uint32(p.fixed(4, what)) }
func (p *parser) uint64(what string) uint64 { return p.fixed(8, what) }

func (p *parser) string(what string) string {
	return string(p.bytes(p.uint64(what), what))
}

func (p *parser) header(f *File) {
	if p.size < 4 {
		p.fail(NotGGUF, "The file has %d bytes; a GGUF has more.", p.size)
		return
	}
	if m := p.bytes(4, "the magic"); string(m) != magic {
		p.fail(NotGGUF, "The file does not start with the letters GGUF.")
		return
	}
	f.Version = p.uint32("the version")
	switch {
	case p.err != nil:
		return
	case f.Version&0xffff == 0 && f.Version != 0:
		p.fail(BigEndian, "This GGUF is big-endian.")
		return
	case f.Version != 2 && f.Version != 3:
		p.fail(Version, "This GGUF has the format version %d; 2 and 3 are read.", f.Version)
		return
	}
	tensors, keys := p.uint64("the tensor count"), p.uint64("the key count")
	if tensors > MaxTensors {
		p.fail(Damaged, "The file claims to hold %d tensors; at most %d are believed.", tensors, MaxTensors)
	}
	if keys > MaxKeys {
		p.fail(Damaged, "The file claims to hold %d metadata keys; at most %d are believed.", keys, MaxKeys)
	}
	p.metadata(f, keys)
	p.alignment(f)
	p.directory(f, tensors)
}

func (p *parser) metadata(f *File, count uint64) {
	f.values = make(map[string]any)
	for i := uint64(0); i < count && p.err == nil; i++ {
		length := p.uint64("a metadata key")
		if length == 0 || length > MaxName {
			p.fail(Damaged, "The name of metadata key %d has %d bytes; 1 to %d are allowed.", i, length, MaxName)
		}
		key := string(p.bytes(length, "a metadata key"))
		if strings.ContainsRune(key, 0) {
			p.fail(Damaged, "The name of metadata key %d holds a NUL byte.", i)
		}
		value := p.value(valueType(p.uint32("a metadata value")), fmt.Sprintf("the metadata key %q", key))
		if _, twice := f.values[key]; twice {
			p.fail(Damaged, "The metadata key %q occurs twice.", key)
		}
		if p.err == nil {
			f.values[key] = value
			f.kvs = append(f.kvs, KV{key, value})
		}
	}
}

func (p *parser) value(t valueType, what string) any {
	switch t {
	case typeUint8:
		return uint8(p.fixed(1, what))
	case typeInt8:
		return int8(p.fixed(1, what))
	case typeUint16:
		return uint16(p.fixed(2, what))
	case typeInt16:
		return int16(p.fixed(2, what))
	case typeUint32:
		return p.uint32(what)
	case typeInt32:
		return int32(p.fixed(4, what))
	case typeFloat32:
		return math.Float32frombits(p.uint32(what))
	case typeBool:
		return p.fixed(1, what) != 0
	case typeString:
		return p.string(what)
	case typeUint64:
		return p.uint64(what)
	case typeInt64:
		return int64(p.fixed(8, what))
	case typeFloat64:
		return math.Float64frombits(p.uint64(what))
	case typeArray:
		return p.array(what)
	}
	p.fail(Damaged, "The value of %s has the unknown type %d.", what, t)
	return nil
}

func (p *parser) array(what string) any {
	t := valueType(p.uint32(what))
	n := p.uint64(what)
	least := t.minSize()
	switch {
	case p.err != nil:
		return nil
	case least == 0:
		p.fail(Damaged, "The array of %s has elements of the unknown type %d.", what, t)
		return nil
	case n > MaxHeader/least:
		p.fail(Damaged, "The array of %s claims %d elements.", what, n)
		return nil
	}
	if !p.room(n*least, what) {
		return nil
	}
	switch t {
	case typeUint8, typeInt8:
		return p.bytes(n, what)
	case typeString:
		return collect(p, n, func() string { return p.string(what) })
	case typeBool:
		return collect(p, n, func() bool { return p.fixed(1, what) != 0 })
	case typeUint16, typeInt16, typeUint32:
		size := int(least)
		return collect(p, n, func() uint32 { return uint32(p.fixed(size, what)) })
	case typeInt32:
		return collect(p, n, func() int32 { return int32(p.fixed(4, what)) })
	case typeFloat32:
		return collect(p, n, func() float32 { return math.Float32frombits(p.uint32(what)) })
	case typeFloat64:
		return collect(p, n, func() float64 { return math.Float64frombits(p.uint64(what)) })
	default:
		return collect(p, n, func() uint64 { return p.uint64(what) })
	}
}

// collect reads n elements and stops at the first error.
func collect[T any](p *parser, n uint64, read func() T) []T {
	all := make([]T, 0, n)
	for i := uint64(0); i < n && p.err == nil; i++ {
		all = append(all, read())
	}
	return all
}

func (p *parser) alignment(f *File) {
	v, ok := f.values["general.alignment"]
	if !ok || p.err != nil {
		return
	}
	n, ok := v.(uint32)
	if !ok || n == 0 || n&(n-1) != 0 || n > maxAlignment {
		p.fail(Damaged, "The alignment of the tensors is %v; it must be a power of two up to %d.", v, maxAlignment)
		return
	}
	f.Alignment = uint64(n)
}

// directory reads the tensor list. Like the native loader it wants each tensor
// right behind the one before, so that none can overlap.
func (p *parser) directory(f *File, count uint64) {
	names := make(map[string]bool)
	var next uint64 // where the next tensor must be
	for i := uint64(0); i < count && p.err == nil; i++ {
		t := p.tensor(i)
		if p.err != nil {
			return
		}
		switch {
		case names[t.Name]:
			p.fail(Damaged, "The tensor %q occurs twice.", t.Name)
		case t.Offset < next:
			p.fail(Damaged, "The tensor %q overlaps the one before it.", t.Name)
		case t.Offset > next:
			p.fail(Damaged, "The tensor %q is at the offset %d where %d is expected.", t.Name, t.Offset, next)
		case t.Size > p.size || next > p.size:
			p.fail(Truncated, "The data of the tensor %q lies beyond the end of the file.", t.Name)
		}
		names[t.Name] = true
		next = align(t.Offset+t.Size, f.Alignment)
		f.Tensors = append(f.Tensors, t)
	}
	f.DataOffset = int64(align(p.off, f.Alignment))
	for _, t := range f.Tensors {
		if end := uint64(f.DataOffset) + t.Offset + t.Size; end > p.size {
			p.fail(Truncated, "The file has %d bytes, but its tensors reach to %d.", p.size, f.end())
			return
		}
	}
}

// end is where the last tensor's data ends.
func (f *File) end() uint64 {
	last := f.Tensors[len(f.Tensors)-1]
	return uint64(f.DataOffset) + last.Offset + last.Size
}

func (p *parser) tensor(i uint64) Tensor {
	length := p.uint64("the tensor directory")
	if length == 0 || length > maxTensorName {
		p.fail(Damaged, "The name of tensor %d has %d bytes; 1 to %d are allowed.", i, length, maxTensorName)
	}
	t := Tensor{Name: string(p.bytes(length, "the tensor directory"))}
	if strings.ContainsRune(t.Name, 0) {
		p.fail(Damaged, "The name of tensor %d holds a NUL byte.", i)
	}
	dims := p.uint32("the tensor directory")
	if dims == 0 || dims > MaxDims {
		p.fail(Damaged, "The tensor %q has %d dimensions; 1 to %d are allowed.", t.Name, dims, MaxDims)
		return t
	}
	for range dims {
		t.Dims = append(t.Dims, int64(p.uint64("the tensor directory")))
	}
	t.Type = Type(p.uint32("the tensor directory"))
	t.Offset = p.uint64("the tensor directory")
	if p.err != nil {
		return t
	}
	if !t.Type.Known() {
		p.fail(Unsupported, "The tensor %q has the unknown %v.", t.Name, t.Type)
		return t
	}
	var err error
	if t.Size, err = tensorSize(t.Type, t.Dims); err != nil {
		p.fail(Damaged, "The tensor %q cannot be right: %v.", t.Name, err)
	}
	return t
}
