package desktop

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/statusnotifier"
)

// A second start is somebody who looks for the first; this build shows it in a browser.
func TestASecondStartShowsTheFirst(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	a := launch(t, bus, setup{})
	a.item = host.Item(t)
	base := a.base()
	for _, start := range []struct {
		args []string
		page string
	}{
		{nil, "/"},
		{[]string{"open", "samovar://pull/owner/repo:q8_0"}, "/#/models?pull=owner/repo:Q8_0"},
		{[]string{"open", "samovar://open/agents/a%2Fb"}, "/#/agents/a%2Fb"},
	} {
		second := launch(t, bus, setup{home: a.home, args: start.args})
		<-second.exited
		require.Zero(t, second.cmd.ProcessState.ExitCode(), second.log)
		require.Equal(t, base+start.page, a.opened())
	}
	a.awaitEntry("Ready · guide")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

// Who has put the settings right may start it again: one menu is left.
func TestASecondStartReplacesOneThatServesNothing(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	home := t.TempDir()
	env := map[string]string{"SAMOVAR_THREADS": ""}
	settingsIn(t, home, "threads = 'many'\n")
	first := launch(t, bus, setup{home: home, env: env})
	first.item = host.Item(t)
	first.awaitEntry("Failed: ")
	settingsIn(t, home, "threads = 1\n")
	second := launch(t, bus, setup{home: home, env: env})
	second.item = host.Item(t)
	second.awaitEntry("Ready · guide")
	require.Equal(t, 2, first.exitCode())
	second.click("Quit Samovar")
	require.Zero(t, second.ends())
}

// Who starts it again while the first still saves gets one that serves.
func TestASecondStartWaitsForOneThatQuits(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	home := t.TempDir()
	state := filepath.Join(home, "data", "state")
	require.NoError(t, os.MkdirAll(state, 0o700))
	first := flock.New(filepath.Join(state, "lock"))
	held, err := first.TryLock()
	require.NoError(t, err)
	require.True(t, held)
	require.NoError(t, os.WriteFile(first.Path(), []byte("1\n"), 0o600))

	a := launch(t, bus, setup{home: home})
	a.await("it waits", func() bool { return strings.Contains(a.log.String(), "Waiting for it") })
	require.NoError(t, first.Close())
	a.awaitReady()
	a.signal(syscall.SIGTERM)
	require.Zero(t, a.ends())
}

// A link starts a Samovar where none runs, and it stays.
func TestALinkStartsIt(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	opener := launch(t, bus, setup{args: []string{"open", "samovar://open/models"}})
	<-opener.exited
	require.Zero(t, opener.cmd.ProcessState.ExitCode(), opener.log)
	require.Equal(t, opener.base()+"/#/models", opener.opened())
	opener.item = host.Item(t)
	opener.awaitEntry("Ready · guide")
	opener.click("Quit Samovar")
	opener.await("it is gone", func() bool { return len(processesOf(t, opener.home)) == 0 })
}

// The entry that desktops go by is made and taken back from the menu.
func TestStartAtLoginFromTheMenu(t *testing.T) {
	t.Parallel()
	a := inPanel(t, setup{env: map[string]string{"XDG_CONFIG_HOME": ""}})
	entry := filepath.Join(a.home, ".config", "autostart", "samovar.desktop")
	a.awaitEntry("Ready · guide")
	for range 2 {
		a.click("Launch at login")
		a.await("there is an entry", func() bool { _, err := os.Stat(entry); return err == nil })
		raw, err := os.ReadFile(entry)
		require.NoError(t, err)
		require.Contains(t, string(raw), `Exec="`+program("samovar")+`" "--data-dir" "`+a.dataDir()+`"`)
		a.await("it is ticked", func() bool { return a.awaitEntry("Launch at login").Ticked })
		a.click("Launch at login")
		a.await("there is none", func() bool { _, err := os.Stat(entry); return os.IsNotExist(err) })
		a.await("it is not ticked", func() bool { return !a.awaitEntry("Launch at login").Ticked })
	}
}

// notes is a desktop's notification server.
type notes struct{ shown chan [2]string }

// GetCapabilities is the protocol's, as Notify.
func (notes) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

// Notify shows a note.
func (n notes) Notify(_ string, _ uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	n.shown <- [2]string{title, body}
	return 1, nil
}

func TestTheDesktopIsToldOfFailures(t *testing.T) {
	t.Parallel()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	conn, err := dbus.Connect(bus.Address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	n := notes{make(chan [2]string, 8)}
	const name = "org.freedesktop.Notifications"
	require.NoError(t, conn.Export(n, "/org/freedesktop/Notifications", name))
	_, err = conn.RequestName(name, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)

	broken := filepath.Join(t.TempDir(), "broken_Q4_K_M.gguf")
	require.NoError(t, os.WriteFile(broken, []byte("GGUF nonsense"), 0o600))
	a := launch(t, bus, setup{env: map[string]string{"SAMOVAR_MODEL": broken}})
	a.item = host.Item(t)
	note := <-n.shown
	require.Equal(t, "Engine failed", note[0])
	require.Contains(t, note[1], "broken_Q4_K_M")
	a.awaitEntry("Failed: ")
	a.signal(syscall.SIGTERM)
	a.ends()
	require.Empty(t, n.shown, "once")
}
