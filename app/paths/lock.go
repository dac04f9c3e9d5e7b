package paths

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lockName is the file's, in the state folder.
const lockName = "lock"

// Lock is held by the one instance that uses a data folder. The system lets go
// of it when the process ends, however it ends.
type Lock struct{ file *flock.Flock }

// HeldError says that another instance uses the data folder.
type HeldError struct {
	// Dir is the folder, PID the holder's process id or 0 if unknown.
	Dir string
	PID int
}

// Error says who holds the folder and what to do.
func (e *HeldError) Error() string {
	who := "another samovar"
	if e.PID > 0 {
		who = fmt.Sprintf("another samovar (pid %d)", e.PID)
	}
	return fmt.Sprintf("%s uses the data folder %s; stop it, or give this one its own with --data-dir", who, e.Dir)
}

// Lock takes the instance lock without waiting.
func (p Paths) Lock() (*Lock, error) {
	dir, err := private(p.state)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, lockName)
	// The holder's pid stands in the locked file itself; locking by flock does
	// not keep others from reading it.
	file := flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ok, err := file.TryLock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock the data folder %s: %w", p.data, err), file.Close())
	}
	if !ok {
		held := &HeldError{Dir: p.data, PID: readPID(name)}
		return nil, errors.Join(held, file.Close())
	}
	if err := os.WriteFile(name, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write the lock of the data folder: %w", err), file.Close())
	}
	return &Lock{file: file}, nil
}

// Close lets go of the lock. The file stays: removing it would let two others
// lock two files of the same name.
func (l *Lock) Close() error { return l.file.Close() }

// Free says whether nobody holds the lock at this moment.
func (p Paths) Free() bool {
	file := flock.New(filepath.Join(p.state, lockName), flock.SetFlag(os.O_RDWR))
	ok, err := file.TryLock()
	return file.Close() == nil && (ok || errors.Is(err, fs.ErrNotExist))
}

func readPID(name string) int {
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0
	}
	return pid
}
