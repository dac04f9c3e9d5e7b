package vfs

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that knows what a power cut would leave of it. It
// is safe for concurrent use.
type Mem struct {
	mu    sync.Mutex
	nodes map[string]*node // by path, as the program sees it
	// kept is what has been made durable: folders and files by path, as they would be
	// found after a crash.
	kept map[string]*node
	// Space bounds the bytes of all files; 0 does not.
	space int64
	locks map[string]bool
}

type node struct {
	dir    bool
	data   []byte
	synced int // data[:synced] is durable
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	root := &node{dir: true}
	return &Mem{nodes: map[string]*node{"/": root}, kept: map[string]*node{"/": root}, locks: map[string]bool{}}
}

// SetSpace bounds the bytes of all files from now on; 0 does not.
func (m *Mem) SetSpace(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = bytes
}

// Crash returns what is found after a power cut now: all that was made durable, and
// of the rest what r chooses, each name and each end of a file for itself. m is not
// to be used any more.
func (m *Mem) Crash(r *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	names := map[string]bool{}
	for n := range m.nodes {
		names[n] = true
	}
	for n := range m.kept {
		names[n] = true
	}
	sorted := slices.Sorted(maps.Keys(names))
	survivors := map[*node]*node{}
	for _, name := range sorted { // folders come before what is in them
		n := m.kept[name]
		if now := m.nodes[name]; now != n && r.IntN(2) == 0 {
			n = now
		}
		if n == nil || after.nodes[path.Dir(name)] == nil {
			continue
		}
		if survivors[n] == nil {
			survivors[n] = n.crashed(r)
		}
		after.nodes[name], after.kept[name] = survivors[n], survivors[n]
	}
	return after
}

// crashed is what is left of a file: the durable part, and any part of the rest,
// which may be zeros where the size was written and the data was not.
func (n *node) crashed(r *rand.Rand) *node {
	if n.dir {
		return n
	}
	data := bytes.Clone(n.data[:n.synced])
	if rest := n.data[n.synced:]; len(rest) > 0 {
		kept := bytes.Clone(rest[:r.IntN(len(rest)+1)])
		if len(kept) > 0 && r.IntN(2) == 0 {
			clear(kept[r.IntN(len(kept)):])
		}
		data = append(data, kept...)
	}
	return &node{data: data, synced: len(data)}
}

func failure(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func clean(name string) string { return path.Clean("/" + name) }

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	if m.nodes[name] != nil {
		return nil, failure("create", name, fs.ErrExist)
	}
	if up := m.nodes[path.Dir(name)]; up == nil || !up.dir {
		return nil, failure("create", name, fs.ErrNotExist)
	}
	n := &node{}
	m.nodes[name] = n
	return &memFile{m, name, n}, nil
}

type memFile struct {
	m    *Mem
	name string
	n    *node
}

func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.space > 0 {
		if room := f.m.space - f.m.used(); int64(len(p)) > room {
			f.n.data = append(f.n.data, p[:max(0, room)]...)
			return int(max(0, room)), failure("write", f.name, syscall.ENOSPC)
		}
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (m *Mem) used() int64 {
	n := int64(0)
	for _, f := range m.nodes {
		n += int64(len(f.data))
	}
	return n
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.synced = len(f.n.data)
	return nil
}

func (f *memFile) Close() error { return nil }

// ReadFile implements FS.
func (m *Mem) ReadFile(name string, buf []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.file("open", name)
	if err != nil {
		return nil, err
	}
	return append(buf[:0], n.data...), nil
}

// ReadHead implements FS.
func (m *Mem) ReadHead(name string, most int) ([]byte, int64, error) {
	data, err := m.ReadFile(name, nil)
	return data[:min(most, len(data))], int64(len(data)), err
}

func (m *Mem) file(op, name string) (*node, error) {
	n := m.nodes[clean(name)]
	if n == nil || n.dir {
		return nil, failure(op, name, fs.ErrNotExist)
	}
	return n, nil
}

// Flip inverts bits of a file's byte, as a bad disk would.
func (m *Mem) Flip(name string, at int, bits byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.file("flip", name)
	if err == nil {
		n.data[at] ^= bits
	}
	return err
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	if n := m.nodes[name]; n == nil || !n.dir {
		return nil, failure("open", name, fs.ErrNotExist)
	}
	var entries []fs.DirEntry
	for p, n := range m.nodes {
		if p != "/" && path.Dir(p) == name {
			entries = append(entries, fs.FileInfoToDirEntry(memInfo{path.Base(p), n}))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

type memInfo struct {
	name string
	n    *node
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return int64(len(i.n.data)) }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.n.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.n.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for up := clean(name); m.nodes[up] == nil; up = path.Dir(up) {
		m.nodes[up] = &node{dir: true}
	}
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.file("rename", from)
	if err != nil {
		return err
	}
	if up := m.nodes[path.Dir(clean(to))]; up == nil {
		return failure("rename", to, fs.ErrNotExist)
	}
	delete(m.nodes, clean(from))
	m.nodes[clean(to)] = n
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.file("remove", name); err != nil {
		return err
	}
	delete(m.nodes, clean(name))
	return nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	for p := range m.kept {
		if p != "/" && path.Dir(p) == name && m.nodes[p] == nil {
			delete(m.kept, p)
		}
	}
	for p, n := range m.nodes {
		if path.Dir(p) == name {
			m.kept[p] = n
		}
	}
	return nil
}

// Free implements FS.
func (m *Mem) Free(string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.space == 0 {
		return 1 << 40, nil
	}
	return m.space - m.used(), nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, ErrLocked
	}
	m.locks[name] = true
	return &memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}
