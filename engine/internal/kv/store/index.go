package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"samovar/engine/internal/kv/blockfile"
)

// index is what is remembered of the files. It may lack some and have some too many;
// recover compares.
type index struct{ db *bbolt.DB }

var (
	blocksBucket = []byte("blocks")
	metaBucket   = []byte("meta")
	dayKey       = []byte("day")
	testedKey    = []byte("tested")
	notesBucket  = []byte("notes")
)

// openIndex opens the index, and makes a new one if it is broken.
func openIndex(name string) (*index, error) {
	ix, err := tryIndex(name)
	if err == nil {
		return ix, nil
	}
	if errors.Is(err, bolterrors.ErrTimeout) || os.IsPermission(err) {
		return nil, err
	}
	if gone := os.Remove(name); gone != nil {
		return nil, errors.Join(err, gone)
	}
	return tryIndex(name)
}

// tryIndex opens the index and walks through it once.
func tryIndex(name string) (ix *index, err error) {
	err = guarded(func() error {
		db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: time.Second})
		if err != nil {
			return err
		}
		ix = &index{db}
		return db.Update(func(tx *bbolt.Tx) error {
			for _, name := range [][]byte{blocksBucket, metaBucket, notesBucket} {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return tx.Bucket(blocksBucket).ForEach(func(k, v []byte) error { return nil })
		})
	})
	if err != nil && ix != nil {
		err = errors.Join(err, ix.close())
	}
	return ix, err
}

// guarded makes errors of bbolt's panics: it does not expect pages that make no sense,
// and faults where a file is shorter than it says.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the index is broken: %v", p)
		}
	}()
	return f()
}

func (ix *index) close() error { return guarded(ix.db.Close) }

// load returns all that is remembered.
func (ix *index) load() (known map[blockfile.ID]*entry, day string, written int64) {
	known = map[blockfile.ID]*entry{}
	err := guarded(func() error {
		return ix.db.View(func(tx *bbolt.Tx) error {
			for k, v := range all(tx.Bucket(blocksBucket)) {
				if e := decodeEntry(k, v); e != nil {
					known[e.id] = e
				}
			}
			if v := tx.Bucket(metaBucket).Get(dayKey); len(v) == 8+len(time.DateOnly) {
				written, day = int64(binary.LittleEndian.Uint64(v)), string(v[8:])
			}
			return nil
		})
	})
	if err != nil { // all files are read, then
		clear(known)
	}
	return known, day, written
}

func all(b *bbolt.Bucket) func(yield func(k, v []byte) bool) {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// tested and setTested remember that the model's state was found to come back.
func (ix *index) tested() (ok bool) {
	err := guarded(func() error {
		return ix.db.View(func(tx *bbolt.Tx) error {
			ok = tx.Bucket(metaBucket).Get(testedKey) != nil
			return nil
		})
	})
	return ok && err == nil
}

func (ix *index) setTested() error {
	return guarded(func() error {
		return ix.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(testedKey, []byte{1}) })
	})
}

// notes returns those whose keys begin with prefix.
func (ix *index) notes(prefix string) map[string][]byte {
	found := map[string][]byte{}
	err := guarded(func() error {
		return ix.db.View(func(tx *bbolt.Tx) error {
			for k, v := range all(tx.Bucket(notesBucket)) {
				if strings.HasPrefix(string(k), prefix) {
					found[string(k)] = slices.Clone(v)
				}
			}
			return nil
		})
	})
	if err != nil {
		clear(found)
	}
	return found
}

// save remembers changes and notes; nil forgets.
func (ix *index) save(changes map[blockfile.ID]*entry, notes map[string][]byte, day string, written int64) error {
	return guarded(func() error {
		return ix.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(blocksBucket)
			for id, e := range changes {
				var err error
				if e == nil {
					err = b.Delete(id[:])
				} else {
					err = b.Put(id[:], encodeEntry(e))
				}
				if err != nil {
					return err
				}
			}
			for key, value := range notes {
				var err error
				if value == nil {
					err = tx.Bucket(notesBucket).Delete([]byte(key))
				} else {
					err = tx.Bucket(notesBucket).Put([]byte(key), value)
				}
				if err != nil {
					return err
				}
			}
			if day == "" {
				return nil
			}
			return tx.Bucket(metaBucket).Put(dayKey, append(binary.LittleEndian.AppendUint64(nil, uint64(written)), day...))
		})
	})
}

const entryBytes = 32 + 1 + 1 + 4 + 8 + 8

func encodeEntry(e *entry) []byte {
	v := make([]byte, 0, entryBytes+4*len(e.tokens))
	v = append(v, e.parent[:]...)
	v = append(v, byte(e.kind), 0)
	if e.pinned {
		v[33] = 1
	}
	v = binary.LittleEndian.AppendUint32(v, uint32(e.position))
	v = binary.LittleEndian.AppendUint64(v, uint64(e.bytes))
	v = binary.LittleEndian.AppendUint64(v, uint64(e.used.UnixNano()))
	for _, t := range e.tokens {
		v = binary.LittleEndian.AppendUint32(v, uint32(t))
	}
	return v
}

// decodeEntry returns nil if the value makes no sense: the id must follow from it.
func decodeEntry(k, v []byte) *entry {
	if len(k) != len(blockfile.ID{}) || len(v) < entryBytes || (len(v)-entryBytes)%4 != 0 {
		return nil
	}
	e := &entry{
		id: blockfile.ID(k), parent: blockfile.ID(v[:32]), kind: blockfile.Kind(v[32]), pinned: v[33] == 1,
		position: int(binary.LittleEndian.Uint32(v[34:])), bytes: int64(binary.LittleEndian.Uint64(v[38:])),
		used: time.Unix(0, int64(binary.LittleEndian.Uint64(v[46:]))),
	}
	for at := entryBytes; at < len(v); at += 4 {
		e.tokens = append(e.tokens, blockfile.Token(binary.LittleEndian.Uint32(v[at:])))
	}
	if blockfile.ChainID(e.kind, e.parent, e.tokens) != e.id || e.bytes <= 0 {
		return nil
	}
	return e
}
