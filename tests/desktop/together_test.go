package desktop

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/screen"
	"samovar/tests/desktop/statusnotifier"
)

// knowing makes a home that of somebody who knows Samovar.
func knowing(t *testing.T, home string) string {
	t.Helper()
	state := filepath.Join(home, "data", "state")
	require.NoError(t, os.MkdirAll(state, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(state, "welcomed"), nil, 0o600))
	return home
}

// welcomed starts the whole desktop app, menu bar and window, for somebody who knows it.
func welcomed(t *testing.T, s *screen.Screen, home string) *app {
	t.Helper()
	env := map[string]string{"LANG": "en_US.UTF-8", "GTK_THEME": "Adwaita"}
	maps.Copy(env, s.Env())
	return launch(t, s.Bus, setup{program: desktopProgram(t), home: knowing(t, home), env: env})
}

// TestTheMenuAndItsWindow is the whole app: the menu opens the window, once; killing the
// window, then the worker, then the menu bar does to the others what it should.
func TestTheMenuAndItsWindow(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	host := statusnotifier.NewHost(t, s.Bus)
	a := welcomed(t, s, t.TempDir())
	a.item = host.Item(t)
	a.awaitEntry("Ready · guide")
	require.Empty(t, s.Windows(), "nobody asked for one")

	a.click("Open dashboard")
	window := s.AwaitWindow()
	hear.Await("Overview – Samovar")
	a.click("Connect…")
	hear.Await("Connect – Samovar")
	require.Len(t, s.Windows(), 1, "there is one window")

	s.Close(window)
	s.AwaitNoWindow()
	require.Equal(t, "ready", a.status().State, "closing the window stops nothing")
	a.click("Settings…")
	s.AwaitWindow()
	hear.Await("Settings – Samovar")

	// The window dies: the menu stays, and opens it again by itself.
	pid := a.windowPID()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	a.await("another window", func() bool { now := a.windowPID(); return now != 0 && now != pid })
	a.awaitEntry("Ready · guide")

	// The worker dies: both stay.
	worker := a.status().WorkerPID
	require.NoError(t, syscall.Kill(worker, syscall.SIGKILL))
	a.await("another worker", func() bool { st := a.status(); return st.State == "ready" && st.WorkerPID != worker })
	require.NotZero(t, a.windowPID())

	// The menu bar dies: nothing is left of the rest.
	all := descendants(a.cmd.Process.Pid)
	require.NotEmpty(t, all)
	require.NoError(t, a.cmd.Process.Kill())
	a.awaitGone(all)
	s.AwaitNoWindow()
}

// A home may be called anything, and lie as deep as systems let it.
func TestAnyFolderWillDo(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	host := statusnotifier.NewHost(t, s.Bus)
	home := filepath.Join(t.TempDir(), "Ünï cöde & $HOME 100% 'x'", strings.Repeat("très long ", 20), "茶")
	a := welcomed(t, s, home)
	a.item = host.Item(t)
	a.awaitEntry("Ready · guide")
	a.click("Open dashboard")
	window := s.AwaitWindow()
	hear.Await("Overview – Samovar")
	second := launch(t, s.Bus, setup{program: desktopProgram(t), home: home, env: s.Env(), args: []string{"window", "--page", "/logs"}})
	<-second.exited
	require.Zero(t, second.cmd.ProcessState.ExitCode(), second.log)
	hear.Await("Logs – Samovar")
	s.Close(window)
	s.AwaitNoWindow()
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

// At a login the panel may come after us.
func TestAPanelThatComesLaterIsWaitedFor(t *testing.T) {
	s := screen.Start(t)
	a := welcomed(t, s, t.TempDir())
	a.awaitReady()
	require.Contains(t, a.log.String(), "no panel")
	a.item = statusnotifier.NewHost(t, s.Bus).Item(t)
	a.awaitEntry("Ready · guide")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
	// That is the first thing that a window makes.
	require.NoFileExists(t, filepath.Join(a.dataDir(), "state", "window.lock"), "a window was opened")
}

func TestWithoutAPanelTheWindowOpens(t *testing.T) {
	s := screen.Start(t)
	a := welcomed(t, s, t.TempDir())
	s.AwaitWindow()
	a.awaitReady()
	require.Contains(t, a.log.String(), "no panel")
	// The panel comes later.
	a.item = statusnotifier.NewHost(t, s.Bus).Item(t)
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
	s.AwaitNoWindow()
}

// windowPID is the process that shows the window, or 0.
func (a *app) windowPID() int {
	for _, pid := range descendants(a.cmd.Process.Pid) {
		if processName(pid) == "samovar" {
			return pid
		}
	}
	return 0
}
