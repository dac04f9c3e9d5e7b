// Package gguf reads and writes the headers of GGUF model files: metadata and
// the tensor directory, never the tensors' data. It knows the container, not
// what a model means; package models does that.
//
// The reader is our own because it stands before the native loader as a guard:
// its one task is to be bounded on hostile input, and the libraries for Go read
// far more than a header (remote files, estimates, tensor data) without those
// bounds. It fits on a few pages and is fuzzed.
//
// # Format
//
// All numbers are little-endian. "GGUF", version (uint32, 2 or 3), tensor count
// and key count (uint64). Then the keys: name (uint64 length and bytes), type
// (uint32), value; an array is element type (uint32), count (uint64), elements.
// Then the tensors: name, dimension count (uint32), dimensions (uint64, row
// length first), type (uint32), offset (uint64, from the start of the data). The
// data starts at the next multiple of general.alignment (32 where absent), and
// so does each tensor in it.
package gguf
