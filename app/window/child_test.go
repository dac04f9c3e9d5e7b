package window

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary plays the window's process: it tells the test over a socket what it is
// asked for.
const (
	fakeRole = "SAMOVAR_TEST_WINDOW"
	fakeHome = "SAMOVAR_TEST_HOME"
)

// heard is what a window reports.
type heard struct {
	PID   int
	Event string // start, show or end
	Page  string
}

// playWindow is main of a process that plays a window.
func playWindow(role string) int {
	home, err := net.Dial("unix", os.Getenv(fakeHome))
	if err != nil {
		return 99
	}
	defer home.Close()
	say := func(event, page string) {
		_ = json.NewEncoder(home).Encode(heard{os.Getpid(), event, page})
	}
	say("start", os.Args[len(os.Args)-1])
	switch role {
	case "none":
		return ExitNone
	case "crash":
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var s show
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			return 98
		}
		say("show", s.Page)
		if role == "closing" { // slowly
			os.Stdin.Close()
			say("deaf", "")
			time.Sleep(time.Hour)
		}
	}
	if role == "stuck" {
		time.Sleep(time.Hour)
	}
	say("end", "")
	return 0
}

// stage is a Child whose windows are played, and what they report.
type stage struct {
	*Child
	t     *testing.T
	role  string
	heard chan heard
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "w") // the name of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("unix", dir+"/s")
	require.NoError(t, err)
	s := &stage{t: t, role: "window", heard: make(chan heard, 64)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for dec := json.NewDecoder(conn); ; {
					var h heard
					if dec.Decode(&h) != nil {
						return
					}
					s.heard <- h
				}
			}()
		}
	}()
	s.Child = NewChild(ChildOptions{Log: slog.New(slog.DiscardHandler), Command: func(page string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], page)
		cmd.Env = append(os.Environ(), fakeRole+"="+s.role, fakeHome+"="+dir+"/s")
		return cmd
	}})
	t.Cleanup(func() {
		s.Close()
		ln.Close()
		<-done
	})
	return s
}

// expect waits for the next report.
func (s *stage) expect(event, page string) heard {
	s.t.Helper()
	select {
	case h := <-s.heard:
		require.Equal(s.t, fmt.Sprint(event, " ", page), fmt.Sprint(h.Event, " ", h.Page))
		return h
	case <-time.After(20 * time.Second):
		s.t.Fatalf("no %q came", event)
		return heard{}
	}
}

// gone waits until there is no window.
func (s *stage) gone() {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.PID() == 0 }, 20*time.Second, time.Millisecond)
}

func TestOneWindowShowsThePagesAskedFor(t *testing.T) {
	s := newStage(t)
	require.Zero(t, s.PID())
	require.NoError(t, s.Open("/welcome"))
	first := s.expect("start", "/welcome")
	require.Equal(t, first.PID, s.PID())
	require.NoError(t, s.Open("/agents/one"))
	require.NoError(t, s.Open(""))
	s.expect("show", "/agents/one")
	s.expect("show", "")
	require.ErrorContains(t, s.Open("/nowhere"), "/nowhere")
	s.Close()
	s.expect("end", "")
	require.Zero(t, s.PID())
	require.ErrorIs(t, s.Open("/welcome"), ErrClosed)
	s.Close() // a second time does nothing
}

func TestAWindowThatCrashesIsOpenedAgainOnce(t *testing.T) {
	s := newStage(t)
	began := time.Now()
	var later atomic.Int64
	s.now = func() time.Time { return began.Add(time.Duration(later.Load())) }
	require.NoError(t, s.Open("/overview"))
	first := s.expect("start", "/overview")
	require.NoError(t, s.Open("/logs"))
	s.expect("show", "/logs")
	kill := func(pid int) { require.NoError(t, syscall.Kill(pid, syscall.SIGKILL)) }
	kill(first.PID)
	second := s.expect("start", "/logs") // where it was
	require.NotEqual(t, first.PID, second.PID)
	kill(second.PID)
	s.gone()
	// It is not held against it for ever, nor by the one who asks for it.
	require.NoError(t, s.Open("/overview"))
	third := s.expect("start", "/overview")
	later.Store(int64(reopenEvery))
	kill(third.PID)
	s.expect("start", "/overview")
}

func TestAWindowThatIsClosedStaysClosed(t *testing.T) {
	s := newStage(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(sig) { // by nohup, for one, and then by whatever the test starts
			continue
		}
		require.NoError(t, s.Open("/overview"))
		require.NoError(t, syscall.Kill(s.expect("start", "/overview").PID, sig))
		s.gone()
	}
	s.role = "none" // no display: not a crash either
	require.NoError(t, s.Open("/overview"))
	s.expect("start", "/overview")
	s.gone()
	require.Empty(t, s.heard)
}

func TestAWindowThatCannotBeOpenedDoesNoHarm(t *testing.T) {
	s := newStage(t)
	s.role = "crash"
	require.NoError(t, s.Open("/overview"))
	s.expect("start", "/overview")
	s.expect("start", "/overview")
	s.gone()
	missing := NewChild(ChildOptions{Log: slog.New(slog.DiscardHandler), Command: func(string) *exec.Cmd { return exec.Command("/nowhere/samovar") }})
	require.ErrorIs(t, missing.Open("/overview"), os.ErrNotExist)
	missing.Close()
}

func TestAWindowThatDoesNotCloseIsEnded(t *testing.T) {
	s := newStage(t)
	s.role, s.grace = "stuck", 10*time.Millisecond
	require.NoError(t, s.Open("/overview"))
	pid := s.expect("start", "/overview").PID
	s.Close()
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

// A window that is being closed takes no orders any more: the next one does, and whatever
// becomes of the first, nothing of it stays.
func TestAnOrderForAWindowThatIsClosing(t *testing.T) {
	s := newStage(t)
	s.role, s.grace = "closing", 10*time.Millisecond
	require.NoError(t, s.Open("/overview"))
	first := s.expect("start", "/overview")
	require.NoError(t, s.Open("/logs"))
	s.expect("show", "/logs")
	s.expect("deaf", "")
	s.role = "window"
	require.NoError(t, s.Open("/models"))
	second := s.expect("start", "/models")
	require.Eventually(t, func() bool { return syscall.Kill(first.PID, 0) != nil }, 20*time.Second, time.Millisecond)
	require.Equal(t, second.PID, s.PID())
	s.Close()
	s.expect("end", "")
}

func TestCrashed(t *testing.T) {
	require.False(t, crashed(nil))
	require.True(t, crashed(errors.New("wait failed")))
}
