package desktop

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/screen"
	"samovar/tests/desktop/statusnotifier"
)

// record is the instance's, as the window reads it.
func record(t *testing.T, home string) (r struct {
	PID  int
	Addr string
}) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(home, "data", "state", "instance.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	return r
}

// TestAWindowWhosePageDies: WebKit shows the last picture for ever, unless somebody looks.
func TestAWindowWhosePageDies(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	home := t.TempDir()
	served(t, home)
	w := openWindow(t, s, home, setup{args: []string{"--page", "/connect"}})
	w.awaitPage(1)
	pages := w.webPages()
	require.Len(t, pages, 1)
	began := time.Now()
	require.NoError(t, syscall.Kill(pages[0], syscall.SIGKILL))
	w.awaitPage(2)
	t.Logf("the page was back after %v", time.Since(began).Round(time.Millisecond))
	hear.Await("Connect – Samovar")
	require.NotEqual(t, pages, w.webPages())

	// One that hangs is missed, and ended.
	pages = w.webPages()
	require.Len(t, pages, 1)
	began = time.Now()
	require.NoError(t, syscall.Kill(pages[0], syscall.SIGSTOP))
	w.awaitPage(3)
	t.Logf("the page that hung was back after %v", time.Since(began).Round(time.Millisecond))
	w.awaitGone(pages)
}

func TestAWindowThatIsKilled(t *testing.T) {
	s := screen.Start(t)
	home := t.TempDir()
	server := served(t, home)
	w := openWindow(t, s, home, setup{})
	w.awaitPage(1)
	below := descendants(w.cmd.Process.Pid)
	require.NotEmpty(t, below)
	w.signal(syscall.SIGKILL)
	w.gone()
	t.Logf("WebKit was gone after %v", w.awaitGone(below).Round(time.Millisecond))
	require.Equal(t, "ready", server.status().State)
	again := openWindow(t, s, home, setup{})
	again.awaitPage(1) // nothing stands in its way
}

// TestAServerThatGoesAndComesBack, on another port, which the page finds by itself.
func TestAServerThatGoesAndComesBack(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	home := t.TempDir()
	server := served(t, home)
	w := openWindow(t, s, home, setup{args: []string{"--page", "/pool"}})
	w.awaitPage(1)
	s.AwaitText("16,384") // the pool's size: it knows something
	server.signal(syscall.SIGKILL)
	s.AwaitText("Samovar is not running. What is shown is from")
	s.Unselect()
	s.Picture(pictures, "window-lost")
	before := server.base()
	back := served(t, home)
	require.NotEqual(t, before, back.base())
	w.await("the page found it", func() bool { return strings.Count(w.log.String(), "server=live") == 2 })
	hear.Await("Pool – Samovar")
	s.Keys("ctrl+1")
	s.AwaitText(back.base())
	require.NotContains(t, s.Text(), "not running")
}

// TestAWindowStartsTheServer that isn't there.
func TestAWindowStartsTheServer(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	home := t.TempDir()
	w := openWindow(t, s, home, setup{})
	w.awaitPage(1)
	s.AwaitText("Samovar is not running.")
	s.Picture(pictures, "window-nothing")
	hear.Press("Start Samovar")
	w.awaitLog("server=live")
	s.Await("the page says something else", func() bool {
		text := s.Text()
		return text != "" && !strings.Contains(text, "not running")
	})
	s.Picture(pictures, "window-started")
	began := record(t, home)
	t.Cleanup(func() { _ = syscall.Kill(began.PID, syscall.SIGKILL) }) // it may have ended
	// It outlives the window.
	s.Keys("ctrl+w")
	require.Zero(t, w.gone())
	resp, err := http.Get("http://" + began.Addr + "/health/live")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, syscall.Kill(began.PID, syscall.SIGTERM))
	w.awaitGone([]int{began.PID})
}

// TestAWindowEndsWithItsMenuBar, however that ended.
func TestAWindowEndsWithItsMenuBar(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	home := t.TempDir()
	served(t, home)
	in, parent, err := os.Pipe()
	require.NoError(t, err)
	w := openWindow(t, s, home, setup{args: []string{"--child"}, stdin: in})
	require.NoError(t, in.Close())
	w.awaitPage(1)
	_, err = parent.WriteString("{\"show\":\"/logs\"}\n")
	require.NoError(t, err)
	hear.Await("Logs – Samovar")
	below := descendants(w.cmd.Process.Pid)
	closed := time.Now()
	require.NoError(t, parent.Close())
	require.Zero(t, w.gone())
	t.Logf("it was gone after %v, WebKit after %v more", time.Since(closed).Round(time.Millisecond), w.awaitGone(below).Round(time.Millisecond))
}

// TestAWindowWhoseMenuBarIsGoneAtOnce: before there is a main loop that could be ended.
func TestAWindowWhoseMenuBarIsGoneAtOnce(t *testing.T) {
	s := screen.Start(t)
	in, parent, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, parent.Close())
	w := openWindow(t, s, t.TempDir(), setup{args: []string{"--child"}, stdin: in})
	require.NoError(t, in.Close())
	require.Zero(t, w.gone())
}

func TestAWindowInTheDark(t *testing.T) {
	s := screen.Start(t)
	home := t.TempDir()
	served(t, home)
	w := openWindow(t, s, home, setup{env: map[string]string{"GTK_THEME": "Adwaita:dark"}})
	window := s.AwaitWindow()
	// It is dark before there is a page, too.
	at := func() string { return s.Pixel(window.X+176, window.Y+window.Height/2) }
	s.Await("something is drawn", func() bool { return at() != "#000000" })
	require.Equal(t, "#121417", at(), "it flashes")
	w.awaitPage(1)
	require.Equal(t, "#121417", at())
	s.AwaitText("Ready")
	s.Unselect()
	s.Picture(pictures, "window-dark")
}

// TestAWindowWithoutALanguage: systems that have none set say "C", which is no language.
func TestAWindowWithoutALanguage(t *testing.T) {
	s := screen.Start(t)
	home := t.TempDir()
	served(t, home)
	for _, lang := range []string{"", "C", "C.UTF-8", "xx_XX.UTF-8"} {
		w := openWindow(t, s, home, setup{env: map[string]string{"LANG": lang}})
		s.AwaitWindow()
		w.awaitPage(1)
		s.AwaitText("Ready")
		w.signal(syscall.SIGTERM)
		require.Zero(t, w.gone())
		s.AwaitNoWindow()
	}
}

func TestAWindowWithoutADisplay(t *testing.T) {
	home := t.TempDir()
	w := launch(t, nil, setup{program: desktopProgram(t), args: []string{"window"}, home: home, env: map[string]string{"DISPLAY": ""}})
	require.Equal(t, 5, w.gone())
	require.Contains(t, w.log.String(), "there is no display to show a window on")
	require.Contains(t, w.log.String(), "in a browser")
}

// TestQuittingTakesTheWindowAlong: nothing is left, of WebKit's processes either.
func TestQuittingTakesTheWindowAlong(t *testing.T) {
	s := screen.Start(t)
	host := statusnotifier.NewHost(t, s.Bus)
	a := welcomed(t, s, t.TempDir())
	a.item = host.Item(t)
	a.awaitEntry("Ready · guide")
	a.click("Open dashboard")
	a.awaitPage(1)
	all := descendants(a.cmd.Process.Pid)
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
	a.awaitGone(all)
	s.AwaitNoWindow()
}

// portal tells what a desktop's colours are, as GNOME and KDE do.
type portal struct{ scheme atomic.Uint32 }

func (p *portal) Read(_, _ string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(dbus.MakeVariant(p.scheme.Load())), nil
}

// TestAWindowFollowsTheDesktop, from before its first picture and while it is open.
func TestAWindowFollowsTheDesktop(t *testing.T) {
	const path, settings = "/org/freedesktop/portal/desktop", "org.freedesktop.portal.Settings"
	s := screen.Start(t)
	conn, err := dbus.Connect(s.Bus.Address)
	require.NoError(t, err)
	defer conn.Close()
	desktop := &portal{}
	desktop.scheme.Store(1)
	require.NoError(t, conn.Export(desktop, path, settings))
	_, err = conn.RequestName("org.freedesktop.portal.Desktop", dbus.NameFlagDoNotQueue)
	require.NoError(t, err)

	home := t.TempDir()
	served(t, home)
	w := openWindow(t, s, home, setup{env: map[string]string{"GTK_THEME": ""}})
	window := s.AwaitWindow()
	at := func() string { return s.Pixel(window.X+176, window.Y+window.Height/2) }
	w.awaitPage(1)
	require.Equal(t, "#121417", at())
	require.NoError(t, conn.Emit(path, settings+".SettingChanged", "org.freedesktop.appearance", "color-scheme", dbus.MakeVariant(uint32(2))))
	s.Await("it is light", func() bool { return at() == "#F4F5F7" })
	s.Picture(pictures, "window-followed")
}
