package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

// indexed is what the index says of a file. One without bytes makes no sense.
type indexed struct {
	bytes    int64
	position int
}

// readIndex reads the index, and changes nothing in it. The store's lock is held.
func (c *check) readIndex() {
	if _, real := c.cfg.FS.(vfs.OS); !real {
		return
	}
	var err error
	c.index, err = peekIndex(c.store.path("index.db"))
	switch {
	case err == nil:
		c.found.Index = IndexGood
	case errors.Is(err, fs.ErrNotExist):
		c.found.Index = IndexAbsent
	case errors.Is(err, bolterrors.ErrTimeout): // somebody looks at it
	case errors.Is(err, fs.ErrPermission):
		c.found.Unusable = err.Error()
	default:
		c.found.Index = IndexBroken
	}
}

// peekIndex walks through an index once.
func peekIndex(name string) (known map[blockfile.ID]indexed, err error) {
	known = map[blockfile.ID]indexed{}
	var db *bbolt.DB
	var file *os.File
	options := &bbolt.Options{ReadOnly: true, Timeout: time.Second, OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag, perm)
		return file, err
	}}
	err = guarded(func() error {
		if db, err = bbolt.Open(name, 0o600, options); err != nil {
			return err
		}
		return db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(bucket []byte, b *bbolt.Bucket) error {
				for k, v := range all(b) {
					if string(bucket) != string(blocksBucket) || len(k) != len(blockfile.ID{}) {
						continue
					}
					says := indexed{}
					if e := decodeEntry(k, v); e != nil {
						says = indexed{e.bytes, e.position}
					}
					known[blockfile.ID(k)] = says
				}
				return nil
			})
		})
	})
	switch {
	case db != nil:
		err = errors.Join(err, guarded(db.Close))
	case file != nil:
		_ = file.Close() // a panic leaves it open, and locked
	}
	return known, err
}

// compareIndex compares what the index says with the files.
func (c *check) compareIndex() {
	c.mistold, c.found.IndexLacks, c.found.IndexStale = nil, 0, 0
	for id, says := range c.index {
		_, there := c.files[id]
		m, right := c.right[id]
		switch {
		case says.bytes == 0, right && says != indexed{m.bytes, m.position}:
			c.mistold = append(c.mistold, id)
		case !there:
			c.found.IndexStale++
		}
	}
	c.found.IndexWrong = len(c.mistold)
	if c.found.Index != IndexGood {
		return
	}
	for id := range c.right {
		if _, ok := c.index[id]; !ok {
			c.found.IndexLacks++
		}
	}
}

// repair puts right what was found, by opening the store: that alone empties tmp and
// makes the index anew if it is broken. Nothing is judged by what was read before.
func (c *check) repair(ctx context.Context) error {
	before := c.found
	s, err := Open(Config{Dir: c.cfg.Dir, Fingerprint: c.root, FS: c.cfg.FS})
	if errors.Is(err, vfs.ErrLocked) {
		c.found.InUse = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, w := range c.found.Wrong {
		if w.Reason != ReasonUnreadable {
			s.reexamine(w)
		}
	}
	for _, id := range c.mistold {
		s.relearn(id)
	}
	if err := s.Close(ctx); err != nil {
		return err
	}
	if err := c.look(); err != nil {
		return err
	}
	c.compareIndex()
	done := Repaired{
		Deleted: max(0, before.Unfinished-c.found.Unfinished), IndexFixed: max(0, before.IndexWrong-c.found.IndexWrong),
		IndexMade: before.Index == IndexBroken && c.found.Index == IndexGood,
	}
	for i, w := range c.found.Wrong {
		if _, there := c.files[w.id]; w.Reason != ReasonUnreadable && !there {
			c.found.Wrong[i].PutAside = true
			done.PutAside++
		}
	}
	c.found.Repaired = &done
	return nil
}

// reexamine puts a file aside that is still wrong.
func (s *Store) reexamine(w Wrong) {
	s.mu.Lock()
	e := s.entries[w.id]
	s.mu.Unlock()
	if e == nil {
		return
	}
	data, err := s.fs.ReadFile(s.file(w.id), nil)
	if err != nil {
		return
	}
	b, err := blockfile.Decode(data, w.id, s.cfg.Fingerprint)
	if rewritten := err == nil && !(w.misplaced && b.Position == w.position); rewritten {
		return
	}
	s.quarantine(e, &blockfile.Error{Reason: w.Reason, Text: w.Text})
}

// relearn corrects what the index says of a file, but keeps what only it knows.
func (s *Store) relearn(id blockfile.ID) {
	e, err := s.head(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty[id] = true
	was := s.entries[id]
	if was == nil || err != nil {
		return
	}
	e.used, e.pinned = was.used, was.pinned
	s.forget(was)
	s.add(e)
}
