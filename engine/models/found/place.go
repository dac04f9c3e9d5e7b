package found

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds of a place. Large real ones have a few hundred models and some ten thousand
// files.
const (
	mostEntries  = 200_000 // of folders, all together
	mostProblems = 200
	deepest      = 8       // folders below a repo's or publisher's
	templateMost = 1 << 20 // bytes
)

// A place is one folder of another program, read within bounds.
type place struct {
	ctx      context.Context
	origin   Origin
	dir      string // as it was given; paths are told with it
	root     string // the same without links; empty if there is nothing to read
	left     int    // entries that may still be looked at
	problems []Problem
}

// openPlace looks whether there is a place. The folder itself may be a link: people keep
// models on another disk.
func openPlace(ctx context.Context, origin Origin, dir string) *place {
	p := &place{ctx: ctx, origin: origin, dir: dir, left: mostEntries}
	root, err := filepath.EvalSymlinks(dir)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.problem(dir, "%s", unreadable(err))
		}
		return p
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		p.problem(dir, "It is not a folder.")
		return p
	}
	p.root = root
	return p
}

func (p *place) problem(path, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	switch {
	case len(p.problems) < mostProblems:
	case len(p.problems) == mostProblems:
		path, message = p.dir, "There are more problems than these; the others are not listed."
	default:
		return
	}
	p.problems = append(p.problems, Problem{p.origin, path, message})
}

const linkedFolder = "It is a link to a folder, which is not followed. Move the folder itself here, or link the whole place."

func unreadable(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "Samovar may not read it. Change its permissions, or give Samovar's user access to it."
	}
	return fmt.Sprintf("It cannot be read (%v).", cause(err))
}

// cause takes the path off an error that is told with the path anyway.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// list reads a folder, sorted by name and without hidden entries: those are caches,
// locks and what macOS leaves on foreign disks. A folder that isn't there is empty.
func (p *place) list(dir string) (entries []fs.DirEntry) {
	if p.ctx.Err() != nil || p.left <= 0 {
		return nil
	}
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 && dir != p.dir {
		p.problem(dir, linkedFolder)
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.problem(dir, "%s", unreadable(err))
		}
		return nil
	}
	defer f.Close()
	for p.ctx.Err() == nil {
		some, err := f.ReadDir(min(256, p.left+1))
		if len(some) > p.left {
			p.problem(p.dir, "It has more than %d files and folders; the rest was not looked at.", mostEntries)
			p.left = 0
			break
		}
		p.left -= len(some)
		entries = append(entries, some...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.problem(dir, "%s", unreadable(err))
			break
		}
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// folders lists the folders in a folder. Links to folders are not followed, within the
// place or out of it: nothing could be found twice or without an end.
func (p *place) folders(dir string) (names []string) {
	for _, e := range p.list(dir) {
		switch at := filepath.Join(dir, e.Name()); {
		case e.IsDir():
			names = append(names, e.Name())
		case e.Type()&fs.ModeSymlink != 0:
			if info, err := os.Stat(at); err == nil && info.IsDir() {
				p.problem(at, linkedFolder)
			}
		}
	}
	return names
}

// ggufs lists the GGUF files under a folder, relative to it and with slashes.
func (p *place) ggufs(dir string) (rels []string) {
	var walk func(below string, depth int)
	walk = func(below string, depth int) {
		for _, e := range p.list(filepath.Join(dir, filepath.FromSlash(below))) {
			rel := below + e.Name()
			switch {
			case e.IsDir() && depth < deepest:
				walk(rel+"/", depth+1)
			case !e.IsDir() && isGGUF(rel):
				rels = append(rels, rel)
			}
		}
	}
	walk("", 0)
	return rels
}

// A file is a regular one in the place.
type file struct {
	real     string // without links
	bytes    int64
	modified time.Time
}

// file looks at a file, through links within the place. Why says what is wrong with it,
// in whole sentences, and is empty if nothing is.
func (p *place) file(path string) (f file, why string) {
	if p.ctx.Err() != nil {
		return f, "The search was stopped."
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return f, missing(path, err)
	}
	if rel, err := filepath.Rel(p.root, real); err != nil || !filepath.IsLocal(rel) {
		return f, "It is a link that leads out of the folder, which is refused. Put the file itself here."
	}
	info, err := os.Stat(real)
	if err != nil {
		return f, missing(path, err)
	}
	if !info.Mode().IsRegular() {
		return f, "It is not a regular file."
	}
	return file{real, info.Size(), info.ModTime()}, ""
}

func missing(path string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err)
	}
	if _, err := os.Lstat(path); err == nil {
		return "It is a link to a file that is not there: it was not downloaded completely, or was deleted. Download it again."
	}
	return "It is not there. Download it again."
}

// text reads a small file, through links within the place, up to a number of bytes.
func (p *place) text(path string, most int64) (text []byte, why string) {
	f, why := p.file(path)
	switch {
	case why != "":
		return nil, why
	case f.bytes > most:
		return nil, fmt.Sprintf("It has %d bytes; more than %d are not read.", f.bytes, most)
	}
	text, complete := readStart(f.real, most)
	if !complete {
		return nil, "It cannot be read. Look at its permissions."
	}
	return text, ""
}

// gguf looks at a model file. Only its first letters are read; package models reads the
// header before the file is used.
func (p *place) gguf(path string) (f file, why string) {
	f, why = p.file(path)
	if why != "" {
		return f, why
	}
	r, err := os.Open(f.real)
	if err != nil {
		return f, unreadable(err)
	}
	defer r.Close()
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		return f, "It is not in the GGUF format. Download it again, or choose a model in that format."
	}
	return f, ""
}
