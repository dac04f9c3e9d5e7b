package window

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// handOver is how long one that hands its page over waits to see whether the other was on
// its way out, which takes a twentieth of a second.
const handOver = 300 * time.Millisecond

// errHandedOver says that another window shows the page.
var errHandedOver = errors.New("another window of this data folder shows the page")

// single is held by the one window of a data folder. Others write to its pipe which page
// they were to show. It needs no session bus, and a second start costs no toolkit.
type single struct {
	lock *flock.Flock
	pipe *os.File

	closing atomic.Bool
	reader  sync.WaitGroup
}

// claim makes this process the window of a state folder, or hands the page over to the
// one that is, and then returns errHandedOver.
func claim(dir, page string) (*single, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open the window: %w", err)
	}
	name := filepath.Join(dir, "window.pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot open the window: %s: %w", name, err)
	}
	// For both, so that opening waits for nobody.
	pipe, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the window: %w", err)
	}
	s := &single{pipe: pipe, lock: flock.New(filepath.Join(dir, "window.lock"), flock.SetPermissions(0o600))}
	ok, err := s.lock.TryLock()
	if err == nil && !ok {
		ok, err = s.handOver(page)
	}
	if err == nil && !ok {
		err = errHandedOver
	}
	if err != nil {
		return nil, errors.Join(err, pipe.Close(), s.lock.Close())
	}
	return s, nil
}

// handOver tells the other one. It returns true if that one is gone now, and this one is
// the window.
func (s *single) handOver(page string) (bool, error) {
	line, err := json.Marshal(show{page})
	if err != nil {
		return false, err
	}
	// Lines this short are written whole.
	if _, err := s.pipe.Write(append(line, '\n')); err != nil {
		return false, fmt.Errorf("cannot tell the other window what to show: %w", err)
	}
	for until := time.Now().Add(handOver); time.Now().Before(until); time.Sleep(handOver / 20) {
		if ok, err := s.lock.TryLock(); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// serve calls asked for each page that others hand over, on a goroutine of its own.
func (s *single) serve(asked func(page string)) {
	s.reader.Go(func() {
		readPages(bufio.NewScanner(s.pipe), func(page string) bool {
			if s.closing.Load() {
				return false
			}
			asked(page)
			return true
		})
	})
}

// release lets another process be the window.
func (s *single) release() {
	s.closing.Store(true)
	_ = s.lock.Close()                  // the system does it at the process's end
	_, _ = s.pipe.Write([]byte("{}\n")) // wakes the reader
	s.reader.Wait()
	_ = s.pipe.Close()
}

// readPages reads lines that say what to show, until there are none or next returns false.
// What is no such line, or no page, is left out.
func readPages(lines *bufio.Scanner, next func(page string) bool) {
	for lines.Scan() {
		var s show
		if json.Unmarshal(lines.Bytes(), &s) != nil || s.Page != "" && !ValidPage(s.Page) {
			continue
		}
		if !next(s.Page) {
			return
		}
	}
}
