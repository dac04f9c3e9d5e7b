package vfs

import (
	"io"
	"io/fs"
)

// Op is an operation on a file system.
type Op string

// The operations that a hook hears of.
const (
	OpCreate Op = "create"
	OpWrite  Op = "write"
	OpSync   Op = "sync"
	OpClose  Op = "close"
	OpRead   Op = "read"
	OpList   Op = "list"
	OpMkdir  Op = "mkdir"
	OpRename Op = "rename"
	OpRemove Op = "remove"
	OpLock   Op = "lock"
)

// Inject returns below with a hook before each operation: its error is the
// operation's, and below is not asked. A write whose hook fails writes half of it.
func Inject(below FS, hook func(op Op, name string) error) FS { return &injected{below, hook} }

type injected struct {
	FS
	hook func(Op, string) error
}

func (i *injected) Create(name string) (File, error) {
	if err := i.hook(OpCreate, name); err != nil {
		return nil, err
	}
	f, err := i.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return &injectedFile{f, name, i.hook}, nil
}

func (i *injected) ReadFile(name string, buf []byte) ([]byte, error) {
	if err := i.hook(OpRead, name); err != nil {
		return nil, err
	}
	return i.FS.ReadFile(name, buf)
}

func (i *injected) ReadHead(name string, n int) ([]byte, int64, error) {
	if err := i.hook(OpRead, name); err != nil {
		return nil, 0, err
	}
	return i.FS.ReadHead(name, n)
}

func (i *injected) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := i.hook(OpList, name); err != nil {
		return nil, err
	}
	return i.FS.ReadDir(name)
}

func (i *injected) MkdirAll(name string) error {
	if err := i.hook(OpMkdir, name); err != nil {
		return err
	}
	return i.FS.MkdirAll(name)
}

func (i *injected) Rename(from, to string) error {
	if err := i.hook(OpRename, to); err != nil {
		return err
	}
	return i.FS.Rename(from, to)
}

func (i *injected) Remove(name string) error {
	if err := i.hook(OpRemove, name); err != nil {
		return err
	}
	return i.FS.Remove(name)
}

func (i *injected) SyncDir(name string) error {
	if err := i.hook(OpSync, name); err != nil {
		return err
	}
	return i.FS.SyncDir(name)
}

func (i *injected) Lock(name string) (io.Closer, error) {
	if err := i.hook(OpLock, name); err != nil {
		return nil, err
	}
	return i.FS.Lock(name)
}

type injectedFile struct {
	File
	name string
	hook func(Op, string) error
}

func (f *injectedFile) Write(p []byte) (int, error) {
	if err := f.hook(OpWrite, f.name); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *injectedFile) Sync() error {
	if err := f.hook(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *injectedFile) Close() error {
	if err := f.hook(OpClose, f.name); err != nil {
		_ = f.File.Close()
		return err
	}
	return f.File.Close()
}
