package screen

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/statusnotifier"
)

const (
	// patience bounds every wait. It is long: it ends only what has failed.
	patience = 60 * time.Second
	look     = 10 * time.Millisecond
	// Width and Height are the display's.
	Width, Height = 1440, 900
)

// Screen is a display that nobody else is on.
type Screen struct {
	// Bus is its session's.
	Bus *statusnotifier.Bus

	t       testing.TB
	display string
	runtime string
	clicks  int
}

// Start opens a display that ends with the test.
func Start(t testing.TB) *Screen {
	t.Helper()
	s := &Screen{Bus: statusnotifier.StartBus(t), t: t, runtime: t.TempDir()}
	// It says which display it took, once it takes clients.
	number, says, err := os.Pipe()
	require.NoError(t, err)
	defer number.Close()
	xvfb := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", Width, Height), "-nolisten", "tcp", "-noreset")
	xvfb.ExtraFiles = []*os.File{says}
	s.Run(xvfb)
	require.NoError(t, says.Close())
	line, err := bufio.NewReader(number).ReadString('\n')
	require.NoError(t, err)
	s.display = ":" + strings.TrimSpace(line)
	s.Run(s.Command("openbox"))
	s.await("a window manager", func() bool { return s.Command("wmctrl", "-m").Run() == nil })
	return s
}

// Run starts what ends with the test.
func (s *Screen) Run(cmd *exec.Cmd) {
	s.t.Helper()
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// Env is what a process needs to be on the display.
func (s *Screen) Env() map[string]string {
	return map[string]string{"DISPLAY": s.display, "XDG_RUNTIME_DIR": s.runtime, "DBUS_SESSION_BUS_ADDRESS": s.Bus.Address}
}

// Command is a program on the display.
func (s *Screen) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = os.Environ()
	for k, v := range s.Env() {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

func (s *Screen) do(name string, args ...string) string {
	s.t.Helper()
	out, err := s.Command(name, args...).CombinedOutput()
	require.NoError(s.t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// Await waits until something is so.
func (s *Screen) Await(what string, done func() bool) { s.t.Helper(); s.await(what, done) }

func (s *Screen) await(what string, done func() bool) {
	s.t.Helper()
	require.Eventually(s.t, done, patience, look, what)
}

// Window is one on the display.
type Window struct {
	ID                  string
	PID                 int
	X, Y, Width, Height int
	Title               string
}

// Windows lists those that a person could switch to.
func (s *Screen) Windows() (all []Window) {
	s.t.Helper()
	out, err := s.Command("wmctrl", "-lpG").Output()
	if err != nil { // one has just gone
		return nil
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 9 {
			continue
		}
		n := make([]int, 5)
		for i := range n {
			n[i], err = strconv.Atoi(f[i+2])
			require.NoError(s.t, err, line)
		}
		all = append(all, Window{f[0], n[0], n[1], n[2], n[3], n[4], strings.Join(f[8:], " ")})
	}
	return all
}

// AwaitWindow waits for the one window that there is to be.
func (s *Screen) AwaitWindow() (w Window) {
	s.t.Helper()
	s.await("one window", func() bool {
		all := s.Windows()
		if len(all) != 1 {
			return false
		}
		w = all[0]
		return true
	})
	return w
}

// AwaitNoWindow waits until there is none.
func (s *Screen) AwaitNoWindow() {
	s.t.Helper()
	s.await("no window", func() bool { return len(s.Windows()) == 0 })
}

// Close closes a window as its button does.
func (s *Screen) Close(w Window) { s.t.Helper(); s.do("wmctrl", "-i", "-c", w.ID) }

// Focused is the window that has the keys, or "".
func (s *Screen) Focused() string {
	out, err := s.Command("xdotool", "getactivewindow").Output()
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("0x%08x", n)
}

// Place moves and sizes a window.
func (s *Screen) Place(w Window, x, y, width, height int) {
	s.t.Helper()
	s.do("wmctrl", "-i", "-r", w.ID, "-e", fmt.Sprintf("0,%d,%d,%d,%d", x, y, width, height))
}

// Maximise fills the screen with a window.
func (s *Screen) Maximise(w Window) {
	s.t.Helper()
	s.do("wmctrl", "-i", "-r", w.ID, "-b", "add,maximized_vert,maximized_horz")
}

// Minimise puts a window out of sight.
func (s *Screen) Minimise(w Window) { s.t.Helper(); s.do("xdotool", "windowminimize", w.ID) }

// TypeInPage types a text where the cursor is.
func (s *Screen) TypeInPage(text string) { s.t.Helper(); s.do("xdotool", "type", "--delay", "5", text) }

// Keys presses keys in the window that has them.
func (s *Screen) Keys(keys ...string) {
	s.t.Helper()
	s.do("xdotool", append([]string{"key", "--clearmodifiers"}, keys...)...)
}

// Text is all the text of the page in the window: selected, as a person would copy it.
func (s *Screen) Text() string {
	s.t.Helper()
	s.Unselect() // what is selected already is not told anew
	s.Keys("ctrl+a")
	out, err := s.Command("xclip", "-out", "-selection", "primary").Output()
	if err != nil { // nothing is selected yet
		return ""
	}
	return string(out)
}

// Unselect clicks where the dashboard has nothing, low in its rail; not where it clicked
// last, since two clicks on one spot select a word.
func (s *Screen) Unselect() {
	s.t.Helper()
	if all := s.Windows(); len(all) == 1 {
		s.clicks++
		w := all[0]
		s.do("xdotool", "mousemove", strconv.Itoa(w.X+40+20*(s.clicks%5)), strconv.Itoa(w.Y+w.Height-100), "click", "1")
	}
}

// AwaitText waits until the page says something.
func (s *Screen) AwaitText(text string) {
	s.t.Helper()
	var said string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * look) {
		if said = s.Text(); strings.Contains(said, text) {
			return
		}
	}
	require.Fail(s.t, "the page doesn't say "+text, said)
}

// Copied is what the clipboard holds.
func (s *Screen) Copied() string {
	out, err := s.Command("xclip", "-out", "-selection", "clipboard").Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Picture keeps a screenshot for people to look at.
func (s *Screen) Picture(dir, name string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	s.do("import", "-window", "root", filepath.Join(dir, name+".png"))
}

// Pixel is the colour at a place, as #RRGGBB.
func (s *Screen) Pixel(x, y int) string {
	s.t.Helper()
	out := s.do("import", "-window", "root", "-crop", fmt.Sprintf("1x1+%d+%d", x, y), "-depth", "8", "txt:-")
	at := strings.LastIndex(out, "#")
	require.GreaterOrEqual(s.t, len(out), at+7, out)
	return out[at : at+7]
}

// Colours is how many there are in a part of the screen.
func (s *Screen) Colours(x, y, width, height int) int {
	s.t.Helper()
	out := s.do("import", "-window", "root", "-crop", fmt.Sprintf("%dx%d+%d+%d", width, height, x, y), "-format", "%k", "info:-")
	n, err := strconv.Atoi(strings.TrimSpace(out))
	require.NoError(s.t, err, out)
	return n
}

// RightClick clicks a place on the screen.
func (s *Screen) RightClick(x, y int) {
	s.t.Helper()
	s.do("xdotool", "mousemove", strconv.Itoa(x), strconv.Itoa(y), "click", "3")
}
