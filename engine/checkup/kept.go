package checkup

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/vfs"
)

// Store is what was found in the folder of one model and its settings.
type Store = store.Findings

// Wrong is a file that cannot be used, Aside counts some that were put into quarantine.
type (
	Wrong = store.Wrong
	Aside = store.Aside
)

// The states of a store's index that are worth a word.
const (
	IndexBroken = store.IndexBroken
	IndexGood   = store.IndexGood
)

// Repaired is what was put right in a store.
type Repaired = store.Repaired

// Unreadable is the reason of files that stay where they are, whatever is repaired.
const Unreadable = store.ReasonUnreadable

// Kept is what was found of the kept KV.
type Kept struct {
	Dir    string  `json:"dir"`
	Stores []Store `json:"stores"`
	// Files and Bytes are of all stores; Bytes counts all that they have on disk.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// storeName is how long a store's name is: the first hexadecimal digits of its
// fingerprint (engine/worker, openStore).
const storeName = 16

// KeptKV reads and verifies all KV that is kept in a folder, and repairs what is
// wrong if asked to. progress is told the store's name, how many bytes of it were
// read, and of how many. A folder that is not there keeps nothing.
func KeptKV(ctx context.Context, dir string, repair bool, progress func(store string, done, total int64)) (Kept, error) {
	kept := Kept{Dir: dir, Stores: []Store{}}
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err != nil {
		return kept, err
	}
	for _, d := range names {
		if _, err := hex.DecodeString(d.Name()); err != nil || len(d.Name()) != storeName {
			continue
		}
		found, err := store.Check(ctx, store.CheckConfig{
			Dir: filepath.Join(dir, d.Name()), Repair: repair,
			Progress: func(done, total int64) { progress(d.Name(), done, total) },
		})
		if err != nil {
			return kept, err
		}
		kept.Stores = append(kept.Stores, found)
		kept.Files += found.Files()
		kept.Bytes += found.DiskBytes()
	}
	return kept, nil
}

// FreeBytes is how much can still be written in a folder.
func FreeBytes(dir string) (int64, error) { return vfs.OS{}.Free(dir) }
