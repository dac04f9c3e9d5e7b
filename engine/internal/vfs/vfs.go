package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is a file system. Errors are those of package os: errors.Is with fs.ErrNotExist,
// syscall.ENOSPC and so on works.
type FS interface {
	// Create makes a new file for writing, 0600; it is an error if the name is taken.
	Create(name string) (File, error)
	// ReadFile returns a file's whole content: in buf, which may be nil, if it has the
	// room.
	ReadFile(name string, buf []byte) ([]byte, error)
	// ReadHead returns a file's first bytes, at most n, and the file's size.
	ReadHead(name string, n int) (head []byte, size int64, err error)
	// ReadDir returns a folder's entries, by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// MkdirAll makes a folder and those above it, 0700.
	MkdirAll(name string) error
	// Rename moves a file, in place of what has the new name.
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes a folder's entries durable.
	SyncDir(name string) error
	// Free returns how many bytes can still be written in a folder.
	Free(name string) (int64, error)
	// Lock takes a file's lock, which the process's end frees. It does not wait: the
	// error is ErrLocked if another has it.
	Lock(name string) (io.Closer, error)
}

// File is one that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has the lock")

// OS is the operating system's file system.
type OS struct{}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadFile implements FS.
func (OS) ReadFile(name string, buf []byte) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); size > int64(cap(buf)) {
		buf = make([]byte, size)
	} else {
		buf = buf[:size]
	}
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// ReadHead implements FS.
func (OS) ReadHead(name string, n int) ([]byte, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	head := make([]byte, min(int64(n), info.Size()))
	_, err = io.ReadFull(f, head)
	return head, info.Size(), err
}

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o700) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FS.
func (OS) SyncDir(name string) error {
	d, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
