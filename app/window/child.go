package window

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// childGrace is what a window has for leaving when it is told to; it needs a
	// twentieth of a second.
	childGrace = 4 * time.Second
	// reopenEvery is how often a window that crashed is opened again: once is a
	// mishap, twice in a row is a window that cannot be shown.
	reopenEvery = time.Minute
)

// ErrClosed is returned by a Child that was closed.
var ErrClosed = errors.New("no window is opened any more: Samovar is quitting")

// show is a line that a child reads from its standard input.
type show struct {
	Page string `json:"show"`
}

// ChildOptions are what a Child needs.
type ChildOptions struct {
	// Command makes the command of a window that begins at a page. Its standard
	// input is the Child's.
	Command func(page string) *exec.Cmd
	Log     *slog.Logger
}

// Child keeps the one window of a menu bar: a process that shows the page asked for,
// and that does no harm when it dies.
type Child struct {
	options ChildOptions
	now     func() time.Time
	grace   time.Duration

	mu       sync.Mutex
	running  *child // nil while there is no window
	closed   bool
	reopened time.Time // when the last crash was made good

	watches sync.WaitGroup // one for each process that is not gone
}

// child is one process.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	page  string // the last one asked for
	// slow ends it if it doesn't by itself, once it was told to.
	slow *time.Timer
}

// NewChild returns a Child without a window.
func NewChild(o ChildOptions) *Child { return &Child{options: o, now: time.Now, grace: childGrace} }

// Open shows a page, in the window that is open or in a new one. An empty page is the
// one that was shown last. It does not wait for the window to appear.
func (c *Child) Open(page string) error {
	if page != "" && !ValidPage(page) {
		return fmt.Errorf("there is no page %q", page)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.running != nil {
		if err := c.running.show(page); err == nil {
			return nil
		}
		// It is ending; its successor doesn't wait for it, but takes its place.
		c.end(c.running)
	}
	return c.start(page)
}

// PID is the process that shows the window, or 0.
func (c *Child) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return 0
	}
	return c.running.cmd.Process.Pid
}

// Close ends the window and waits until its process is gone. No window can be opened
// after that.
func (c *Child) Close() {
	c.mu.Lock()
	c.closed = true
	if c.running != nil {
		c.end(c.running)
	}
	c.mu.Unlock()
	c.watches.Wait()
}

// end tells a process to end, and sees to it; the caller holds the lock.
func (c *Child) end(w *child) {
	w.stdin.Close()
	if w.slow != nil {
		return
	}
	w.slow = time.AfterFunc(c.grace, func() {
		c.options.Log.Warn("the window doesn't close, so it is ended", "pid", w.cmd.Process.Pid)
		if err := w.cmd.Process.Kill(); err != nil {
			c.options.Log.Warn("cannot end the window", "pid", w.cmd.Process.Pid, "err", err)
		}
	})
}

// start runs a process; the caller holds the lock.
func (c *Child) start(page string) error {
	cmd := c.options.Command(page)
	// Its own group: Ctrl-C in a terminal is for the menu bar, which closes the window.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot open the window: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("cannot open the window: %w", err), stdin.Close())
	}
	started := &child{cmd: cmd, stdin: stdin, page: page}
	c.running = started
	c.watches.Go(func() { c.watch(started) })
	return nil
}

// watch waits for the end of a process, and opens the window again if it crashed.
func (c *Child) watch(w *child) {
	err := w.cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.slow != nil {
		w.slow.Stop()
	}
	if c.running != w {
		return // another one has taken its place
	}
	c.running = nil
	if c.closed || !crashed(err) {
		return
	}
	if again := c.now(); again.Sub(c.reopened) < reopenEvery {
		c.options.Log.Error("the window crashed again and stays closed", "err", err)
		return
	}
	c.reopened = c.now()
	c.options.Log.Warn("the window crashed and is opened again", "err", err)
	if err := c.start(w.page); err != nil {
		c.options.Log.Error("the window cannot be opened again", "err", err)
	}
}

// show tells the process which page to show.
func (w *child) show(page string) error {
	line, err := json.Marshal(show{page})
	if err != nil {
		return err
	}
	if page != "" {
		w.page = page
	}
	_, err = w.stdin.Write(append(line, '\n'))
	return err
}

// crashed tells a window that died from one that was closed, or told to end.
func crashed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err != nil
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return exit.ExitCode() != ExitNone
	}
	switch status.Signal() {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return false
	}
	return true
}
