package desktop

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/statusnotifier"
)

// TestADayInTheMenuBar is what a day is like: it starts, serves, shows how, is stopped,
// started, and quits without leaving anything behind.
func TestADayInTheMenuBar(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{})
	a.awaitEntry("Ready · guide")
	a.awaitIcon("ready")
	require.Equal(t, "Samovar", a.item.Title(t))
	require.Equal(t, "Samovar · Ready · guide", a.item.Tooltip(t))
	require.True(t, a.has("First token: no requests yet"), a.labels())

	require.Equal(t, http.StatusOK, a.ask(20, false).StatusCode)
	a.awaitEntry("First token: p50")
	a.awaitEntry("KV pool: ")
	model := a.awaitEntry("guide · in memory")
	require.True(t, model.Ticked)

	a.click("Open dashboard")
	require.Equal(t, a.base()+"/", a.opened())
	a.click("Connect…")
	require.Equal(t, a.base()+"/#/connect", a.opened())
	a.click("Get a model…")
	require.Equal(t, a.base()+"/#/models", a.opened())

	a.click("Stop")
	a.awaitEntry("Stopped")
	a.awaitIcon("stopped")
	require.Equal(t, http.StatusServiceUnavailable, a.ask(1, false).StatusCode)
	a.click("Start")
	a.awaitEntry("Ready · guide")

	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

func TestTheEndpointIsCopied(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	bin, copied := filepath.Join(home, "bin"), filepath.Join(home, "copied")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	tool := filepath.Join(bin, "xclip")
	require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\ncat > '"+copied+"'\n"), 0o700))
	a := inPanel(t, setup{home: home})
	a.click("Copy endpoint")
	a.await("it is copied", func() bool {
		raw, err := os.ReadFile(copied)
		return err == nil && string(raw) == a.base()+"/v1"
	})
	// One that does not work must not look as if it had.
	require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	a.click("Copy endpoint")
	a.awaitEntry("⚠ The endpoint is " + a.base() + "/v1")
}

func TestASignalEndsItInOrder(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{})
	a.awaitEntry("Ready · guide")
	a.signal(syscall.SIGTERM)
	require.Zero(t, a.ends())
}

// When somebody logs out, the bus goes, and nobody else may tell us.
func TestTheEndOfTheDesktopEndsIt(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	a := launch(t, bus, setup{})
	a.awaitReady()
	bus.Stop()
	require.Zero(t, a.ends())
}

// What runs then may finish, and nobody is there any more to see the icon change.
func TestTheEndOfTheDesktopLetsAnswersFinish(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	a := launch(t, bus, setup{args: []string{"--shape", "tiny"}})
	a.item = host.Item(t)
	a.awaitEntry("Ready · shape-tiny")
	resp := a.ask(endless, true)
	a.awaitIcon("busy")
	bus.Stop()
	_, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Zero(t, a.ends())
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	a := inPanel(t, setup{env: map[string]string{"SAMOVAR_ADDR": ln.Addr().String()}})
	a.awaitEntry("Failed: the port of " + ln.Addr().String())
	a.awaitEntry("Stop it, or choose another address")
	a.awaitIcon("attention")
	open := a.awaitEntry("Open dashboard")
	require.False(t, open.Enabled, "there is none")
	require.NoError(t, ln.Close())
	a.click("Try again")
	a.awaitEntry("Ready · guide")
	a.awaitIcon("ready")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

func TestTheExitCodeSaysWhyNothingWasServed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	a := inPanel(t, setup{env: map[string]string{"SAMOVAR_ADDR": ln.Addr().String()}})
	a.click("Quit Samovar")
	require.Equal(t, 3, a.exitCode())
	require.Contains(t, a.log.String(), "is taken by")
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	settingsIn(t, home, "threads = 'many'\n")
	a := inPanel(t, setup{home: home, env: map[string]string{"SAMOVAR_THREADS": ""}})
	a.awaitEntry("Failed: ")
	a.awaitIcon("attention")
	a.click("Settings…")
	require.Equal(t, filepath.Join(a.dataDir(), "settings.toml"), a.opened())
	settingsIn(t, home, "threads = 1\n")
	a.signal(syscall.SIGHUP) // as good as Try again
	a.awaitEntry("Ready · guide")
	settingsIn(t, home, "menu_title = 'tps'\n")
	a.signal(syscall.SIGHUP)
	a.await("the number beside the icon", func() bool { return strings.HasSuffix(a.item.Title(t), " t/s") })
}

func TestAModelThatIsBroken(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken_Q4_K_M.gguf")
	require.NoError(t, os.WriteFile(broken, []byte("GGUF nonsense"), 0o600))
	a := inPanel(t, setup{env: map[string]string{"SAMOVAR_MODEL": broken}})
	a.awaitEntry("Failed: ")
	a.awaitIcon("attention")
	a.awaitEntry("Model: broken_Q4_K_M")
	a.click("Choose another file")
	require.Equal(t, a.base()+"/#/logs", a.opened())
	a.awaitEntry("Start again")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

func TestModelsThatBeginStopped(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{args: []string{"--start-at-launch=false"}})
	a.awaitEntry("Stopped")
	a.awaitIcon("stopped")
	require.Contains(t, a.log.String(), "loads nothing")
	require.Equal(t, http.StatusServiceUnavailable, a.ask(1, false).StatusCode)
	a.click("Start")
	a.awaitEntry("Ready · guide")
	a.awaitIcon("ready")
}

func TestAWorkerThatDies(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{})
	a.awaitEntry("Ready · guide")
	a.awaitIcon("ready")
	a.item.Shown(t)
	first := a.status().WorkerPID
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	a.await("another worker", func() bool { s := a.status(); return s.State == "ready" && s.WorkerPID != first })
	// It is back in a tenth of a second, which nobody would see: so it is told for longer.
	a.awaitIcon("attention")
	a.awaitEntry("⚠ The engine died")
	a.awaitEntry("Ready · guide")
	a.awaitIcon("ready")
	require.True(t, a.has("⚠ The engine died"), a.labels())
	var names []string
	for _, i := range a.item.Shown(t) {
		names = append(names, nameOf(t, i))
	}
	require.LessOrEqual(t, len(names), 4, "the icon flickers: %v", names)
}

func TestAPanelThatComesAndGoes(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	a := launch(t, bus, setup{})
	a.awaitReady()
	require.Contains(t, a.log.String(), "no panel")
	for range 3 {
		host := statusnotifier.NewHost(t, bus)
		a.item = host.Item(t)
		a.awaitEntry("Ready · guide")
		host.Close()
	}
	a.item = statusnotifier.NewHost(t, bus).Item(t)
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

// Bad news in a menu that nobody can see would be a process that nobody knows of.
func TestBadNewsWithoutAPanel(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	settingsIn(t, home, "threads = 'many'\n")
	a := launch(t, statusnotifier.StartBus(t), setup{home: home, env: map[string]string{"SAMOVAR_THREADS": ""}})
	require.Equal(t, 2, a.exitCode())
	require.Contains(t, a.log.String(), "threads")
}

func TestWithoutADesktopItServes(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	for name, env := range map[string]map[string]string{
		"no display": {"DISPLAY": ""},
		"no bus":     {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"},
	} {
		a := launch(t, bus, setup{env: env})
		a.awaitReady()
		require.Contains(t, a.log.String(), "no menu bar can be shown", name)
		a.signal(syscall.SIGTERM)
		require.Zero(t, a.ends(), name)
	}
}

func (a *app) awaitReady() {
	a.t.Helper()
	a.await("it is ready", func() bool { return a.status().State == "ready" })
}

// exitCode waits for the end of a process that never served.
func (a *app) exitCode() int {
	a.t.Helper()
	<-a.exited
	return a.cmd.ProcessState.ExitCode()
}

func TestAnotherModelIsChosen(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a := inPanel(t, setup{home: home})
	a.awaitEntry("Ready · guide")
	guide, err := filepath.Glob(filepath.Join(a.dataDir(), "models", "*.gguf"))
	require.NoError(t, err)
	require.Len(t, guide, 1)
	raw, err := os.ReadFile(guide[0])
	require.NoError(t, err)
	a.click("Quit Samovar")
	require.Zero(t, a.ends())

	other := filepath.Join(home, "other_model.gguf")
	require.NoError(t, os.WriteFile(other, raw, 0o600))
	a = inPanel(t, setup{home: home, env: map[string]string{"SAMOVAR_MODELS": other}})
	a.awaitEntry("Ready · guide")
	a.click("other_model")
	a.awaitEntry("Ready · other_model")
	require.True(t, a.awaitEntry("other_model · in memory").Ticked)
	require.False(t, a.awaitEntry("guide").Ticked)
	written, err := os.ReadFile(filepath.Join(a.dataDir(), "settings.toml"))
	require.NoError(t, err)
	require.Contains(t, string(written), other)
	a.click("guide")
	a.awaitEntry("Ready · guide")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())

	// What a flag or variable says is stronger than what is chosen here.
	a = inPanel(t, setup{home: home, env: map[string]string{"SAMOVAR_MODELS": other}, args: []string{"--model", "guide"}})
	a.awaitEntry("Ready · guide")
	a.click("other_model")
	a.awaitEntry("⚠ The model is set by --model")
	require.True(t, a.has("Ready · guide"))
	written, err = os.ReadFile(filepath.Join(a.dataDir(), "settings.toml"))
	require.NoError(t, err)
	require.NotContains(t, string(written), other)
}

// endless is more tokens than any answer here has time for.
const endless = 100_000

func TestQuittingLetsAnswersFinish(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{args: []string{"--shape", "tiny"}})
	a.awaitEntry("Ready · shape-tiny")
	resp := a.ask(endless, true)
	a.awaitEntry("Working · shape-tiny")
	a.awaitIcon("busy")
	a.click("Quit Samovar")
	a.awaitEntry("Quitting: 1 request is finishing")
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "[DONE]")
	require.Zero(t, a.ends())
}

func TestQuittingTwiceWaitsForNobody(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{args: []string{"--shape", "tiny"}})
	a.awaitEntry("Ready · shape-tiny")
	resp := a.ask(endless, true)
	a.awaitEntry("Working · shape-tiny")
	a.click("Quit Samovar")
	a.click("Quitting: 1 request is finishing")
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "stopping")
	require.Zero(t, a.ends())
}
