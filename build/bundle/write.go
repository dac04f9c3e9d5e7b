package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// write makes the app's folder, which must not be there yet.
func (p plan) write(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, e := range p.entries {
		to := filepath.Join(dir, filepath.FromSlash(e.path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if e.kind == link {
			if err := os.Symlink(e.target, to); err != nil {
				return err
			}
			continue
		}
		data, err := e.content()
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, data, e.mode()); err != nil {
			return err
		}
		if err := os.Chmod(to, e.mode()); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// replace puts fresh in the place of whatever dest was.
func replace(fresh, dest string) error {
	old := dest + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dest, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, dest); err != nil {
		return errors.Join(err, os.Rename(old, dest))
	}
	return os.RemoveAll(old)
}

// archive packs a written app as NAME/… into a tar.gz. The same content makes the
// same bytes: no times, no owners, sorted.
func (p plan) archive(dir, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed := gzip.NewWriter(out)
	tape := tar.NewWriter(packed)
	sorted := slices.SortedFunc(slices.Values(p.entries), func(a, b entry) int { return strings.Compare(a.path, b.path) })
	for _, e := range sorted {
		if err := p.pack(tape, dir, e); err != nil {
			return err
		}
	}
	return errors.Join(tape.Close(), packed.Close())
}

func (p plan) pack(tape *tar.Writer, dir string, e entry) error {
	head := &tar.Header{Name: path.Join(p.root, e.path), Mode: int64(e.mode().Perm()), ModTime: time.Unix(0, 0)}
	if e.kind == link {
		head.Typeflag, head.Linkname, head.Mode = tar.TypeSymlink, e.target, 0o777
		return tape.WriteHeader(head)
	}
	from, err := os.Open(filepath.Join(dir, filepath.FromSlash(e.path)))
	if err != nil {
		return err
	}
	defer from.Close()
	size, err := from.Stat()
	if err != nil {
		return err
	}
	head.Typeflag, head.Size = tar.TypeReg, size.Size()
	if err := tape.WriteHeader(head); err != nil {
		return err
	}
	_, err = io.Copy(tape, from)
	return err
}
