package download

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Partial is an unfinished download.
type Partial struct {
	// Path is where the file would be, URL where it comes from, without its query.
	Path, URL string
	// Done bytes of Total have come; Total is 0 if it isn't known.
	Done, Total int64
	// Touched is when something came last.
	Touched time.Time
}

// Partials lists the unfinished downloads, by path; those that run, too.
func (d *Downloader) Partials() ([]Partial, error) {
	keys, err := d.keys()
	if err != nil {
		return nil, err
	}
	var list []Partial
	for _, key := range keys {
		names := filesNamed(d.o.Parts, key)
		rec, err := peek(names.journal)
		if err != nil {
			continue // of one that hasn't begun, or one that can't be resumed
		}
		list = append(list, Partial{
			Path: rec.Path, URL: rec.URL, Done: rec.Done.sum(), Total: max(rec.Size, 0), Touched: names.touched(),
		})
	}
	slices.SortFunc(list, func(a, b Partial) int { return cmp.Compare(a.Path, b.Path) })
	return list, nil
}

// Discard deletes what there is of an unfinished download of a path. The error's kind
// is Busy while one runs, here or in another process.
func (d *Downloader) Discard(path string) error {
	names := filesOf(d.o.Parts, filepath.Clean(path))
	if !names.exist() {
		return nil
	}
	lock, err := names.take()
	switch {
	case err != nil:
		return onDisk("to lock the partial", err)
	case lock == nil:
		return &Error{Kind: Busy, Message: "The file is being downloaded.", Hint: "Cancel that first."}
	}
	if err := names.end(lock); err != nil {
		return onDisk("to delete the partial", err)
	}
	return nil
}

// Sweep deletes what nobody has touched for some time, and returns how many bytes of
// the disk that frees. What is being downloaded stays.
func (d *Downloader) Sweep(older time.Duration) (freed int64, err error) {
	keys, err := d.keys()
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		names := filesNamed(d.o.Parts, key)
		if d.o.now().Sub(names.touched()) < older {
			continue
		}
		lock, lockErr := names.take()
		if lockErr != nil || lock == nil {
			err = errors.Join(err, lockErr)
			continue
		}
		if d.o.now().Sub(names.touched()) < older { // it was taken meanwhile, and left
			err = errors.Join(err, lock.free())
			continue
		}
		bytes := occupied(names.part) + occupied(names.journal)
		if endErr := names.end(lock); endErr != nil {
			err = errors.Join(err, endErr)
			continue
		}
		freed += bytes
	}
	if err != nil {
		return freed, onDisk("to delete a partial", err)
	}
	return freed, nil
}

// keys are what the names of partials' files begin with.
func (d *Downloader) keys() ([]string, error) {
	entries, err := os.ReadDir(d.o.Parts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, onDisk("to list "+d.o.Parts, err)
	}
	var keys []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext == partExt || ext == journalExt || ext == lockExt {
			keys = append(keys, strings.TrimSuffix(e.Name(), ext))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// touched is when any of the files was changed last.
func (f files) touched() (last time.Time) {
	for _, name := range []string{f.part, f.journal, f.lock} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

func (f files) exist() bool { return !f.touched().IsZero() }

// occupied is how much of the disk a file takes: a partial has holes.
func occupied(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
