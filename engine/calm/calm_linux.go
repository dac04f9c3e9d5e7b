package calm

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// slack is the monitor's, usual that of all other threads, which is the system's default.
const (
	slack = 5 * time.Millisecond
	usual = 50 * time.Microsecond
)

// Process gives the process's monitor thread the slack. A thread has that of the one
// which made it, and the monitor is made before main: so the process replaces itself
// with the same program, once, and then lets go of the slack on all threads that run
// its code; see prctl(2), PR_SET_TIMERSLACK. Where the system refuses, nothing happens:
// all works as well, a little slower.
func Process() {
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	switch {
	case err != nil:
	case now >= int(slack):
		loosen()
	default:
		tighten()
	}
}

func set(d time.Duration) { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0) }

// tighten replaces the process.
func tighten() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set(slack)
	// Were it not kept, the next one would do this again, for ever.
	if now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || now < int(slack) {
		return
	}
	// By its path: the system names a process after the file that it was told to run.
	if self, err := os.Executable(); err == nil {
		_ = syscall.Exec(self, os.Args, os.Environ())
	}
}

// loosen gives all threads that run goroutines the usual slack, and so those that they
// will make. The monitor runs none. Where there is C another thread keeps the slack,
// too, and hands it on: it makes threads for the runtime when a locked one cannot, which
// is why some are made here in advance.
func loosen() {
	// This one's first: the first LockOSThread makes a thread that makes others.
	set(usual)
	for round := range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		loosenAll(len(threads) + 1 - round)
	}
}

// loosenAll has as many goroutines as given, each with a thread to itself. If there are
// no more threads than that, they have them all.
func loosenAll(n int) {
	var all, done sync.WaitGroup
	all.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			set(usual)
			all.Done()
			all.Wait()
		})
	}
	done.Wait()
}
