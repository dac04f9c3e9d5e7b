package download

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// files are an unfinished download's, in the folder for partials.
type files struct{ part, journal, lock string }

const (
	partExt    = ".part"
	journalExt = ".journal"
	lockExt    = ".lock"
)

// filesOf names them by the digest of where the file shall be.
func filesOf(parts, path string) files {
	sum := sha256.Sum256([]byte(path))
	return filesNamed(parts, hex.EncodeToString(sum[:12]))
}

func filesNamed(parts, key string) files {
	base := filepath.Join(parts, key)
	return files{part: base + partExt, journal: base + journalExt, lock: base + lockExt}
}

// A hold is the lock of a partial. The system frees it when the process ends.
type hold struct{ lock *flock.Flock }

// take takes the lock without waiting; nil if another has it.
func (f files) take() (*hold, error) {
	for {
		l := flock.New(f.lock, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		ok, err := l.TryLock()
		if err != nil || !ok {
			return nil, err
		}
		// Whoever had it may have deleted the file between our opening and locking it:
		// then we hold a lock that nobody else will ever ask for.
		mine, err := l.Stat()
		if err == nil {
			var there fs.FileInfo
			if there, err = os.Stat(f.lock); err == nil && os.SameFile(mine, there) {
				return &hold{l}, nil
			}
		}
		if err := errors.Join(l.Close(), unless(err, fs.ErrNotExist)); err != nil {
			return nil, err
		}
	}
}

// unless drops an error of a kind that is expected.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func (h *hold) free() error { return h.lock.Close() }

// wipe deletes a partial. The lock is held, and stays.
func (f files) wipe() error {
	// The journal first: without it the partial is worth nothing, with it and no
	// partial behind it the next one would have to notice.
	return errors.Join(unless(os.Remove(f.journal), fs.ErrNotExist), unless(os.Remove(f.part), fs.ErrNotExist))
}

// end deletes all there is, the lock's file last, and frees the lock.
func (f files) end(h *hold) error {
	return errors.Join(f.wipe(), unless(os.Remove(f.lock), fs.ErrNotExist), h.free())
}
