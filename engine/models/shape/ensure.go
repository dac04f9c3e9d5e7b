package shape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Names lists the shapes that Ensure can write.
func Names() []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.name
	}
	return names
}

// Ensure returns the path of the named shape's file in dir and writes it there
// first if it is not yet there, or not whole. The file appears in one step:
// nobody sees a part of it, and two processes may do this at once. progress,
// which may be nil, is called with the bytes written and their total, from one
// goroutine at a time. An existing file is used without a call to it.
func Ensure(ctx context.Context, dir, name string, progress func(done, total int64)) (string, error) {
	for _, s := range specs {
		if s.name != name {
			continue
		}
		p, err := s.plan()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, "shape-"+name+".gguf")
		if p.matches(name, path) {
			return path, nil
		}
		if progress == nil {
			progress = func(int64, int64) {}
		}
		if err := p.write(ctx, name, path, progress); err != nil {
			return "", fmt.Errorf("the model file of shape %s could not be written: %w", name, err)
		}
		return path, nil
	}
	return "", fmt.Errorf("there is no shape %q; choose one of %s", name, strings.Join(Names(), ", "))
}

// chunkRows aims at chunks near a mebibyte. A chunk is whole rows.
func chunkRows(rowBytes int64) int64 { return max(1, 1<<20/rowBytes) }

// chunk is a span of a tensor's rows.
type chunk struct {
	tensor, number int
	offset         int64 // in the file
	firstRow, rows int64
	rowBytes       int64
}

func (p plan) chunks() []chunk {
	var all []chunk
	for i, t := range p.Tensors {
		row, _ := t.Type.RowBytes(t.Dims[0])
		total := int64(t.Size) / row
		step := chunkRows(row)
		for n := 0; int64(n)*step < total; n++ {
			first := int64(n) * step
			all = append(all, chunk{
				tensor: i, number: n, firstRow: first, rows: min(step, total-first), rowBytes: row,
				offset: int64(len(p.Header)) + int64(t.Offset) + first*row,
			})
		}
	}
	return all
}

// fill computes a chunk's bytes into b, which it grows as needed.
func (p plan) fill(name string, c chunk, b []byte) []byte {
	size := int(c.rows * c.rowBytes)
	if cap(b) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	t, f := p.Tensors[c.tensor], p.fills[c.tensor]
	if f.noise == 0 {
		constants(b, f.constant)
		return b
	}
	weights(b, t.Type, f.noise, newRandom(name, t.Name, c.number))
	if at := f.zeroRow - c.firstRow; f.zeroRow >= 0 && at >= 0 && at < c.rows {
		clear(b[at*c.rowBytes : (at+1)*c.rowBytes])
	}
	return b
}

// matches reports whether the file at path is this plan's: size, header and
// the first chunk of each of the first and last few tensors. Ensure's files are
// whole when they appear, so this need not read everything.
func (p plan) matches(name, path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != p.Size {
		return false
	}
	same := func(want []byte, at int64) bool {
		got := make([]byte, len(want))
		_, err := io.ReadFull(io.NewSectionReader(f, at, int64(len(want))), got)
		return err == nil && bytes.Equal(got, want)
	}
	if !same(p.Header, 0) {
		return false
	}
	chunks := p.chunks()
	var b []byte
	for i, c := range chunks {
		if i > 2 && i < len(chunks)-3 {
			continue
		}
		if b = p.fill(name, c, b); !same(b, c.offset) {
			return false
		}
	}
	return true
}

func (p plan) write(ctx context.Context, name, path string, progress func(done, total int64)) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".shape-"+name+"-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if err := f.Truncate(p.Size); err != nil {
		return err
	}
	if _, err := f.WriteAt(p.Header, 0); err != nil {
		return err
	}
	if err := p.writeChunks(ctx, f, name, progress); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func (p plan) writeChunks(ctx context.Context, f *os.File, name string, progress func(done, total int64)) error {
	chunks := p.chunks()
	var next atomic.Int64
	var mu sync.Mutex
	done := int64(len(p.Header))
	group, ctx := errgroup.WithContext(ctx)
	for range min(4, runtime.GOMAXPROCS(0)) {
		group.Go(func() error {
			var b []byte
			for {
				i := int(next.Add(1)) - 1
				if i >= len(chunks) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				b = p.fill(name, chunks[i], b)
				if _, err := f.WriteAt(b, chunks[i].offset); err != nil {
					return err
				}
				mu.Lock()
				done += int64(len(b))
				progress(done, p.Size)
				mu.Unlock()
			}
		})
	}
	return group.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
