package notify

import (
	"bufio"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// shownNote is what a desktop was asked to show.
type shownNote struct {
	app, icon, title, body string
	replaces               uint32
	hints                  map[string]dbus.Variant
}

// desktop is a notification server that notes what it is asked for.
type desktop struct {
	can   atomic.Value // of []string
	notes chan shownNote
	next  atomic.Uint32
}

func (d *desktop) GetCapabilities() ([]string, *dbus.Error) { return d.can.Load().([]string), nil }

func (d *desktop) Notify(app string, replaces uint32, icon, title, body string, _ []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.notes <- shownNote{app, icon, title, body, replaces, hints}
	if replaces != 0 {
		return replaces, nil
	}
	return d.next.Add(1), nil
}

// privateBus starts a session bus for the test.
func privateBus(t *testing.T) {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start(), "the package dbus has it")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
}

func TestNotesReachTheDesktop(t *testing.T) {
	privateBus(t)
	send := NewSender(Options{})
	require.Error(t, send.Send(t.Context(), Note{}), "nobody shows notes yet")

	conn, err := dbus.ConnectSessionBus()
	require.NoError(t, err)
	defer conn.Close()
	d := &desktop{notes: make(chan shownNote, 8)}
	d.can.Store([]string{"body", "body-markup"})
	require.NoError(t, conn.Export(d, busPath, busName))
	_, err = conn.RequestName(busName, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)

	show := func(n Note) shownNote {
		t.Helper()
		require.NoError(t, send.Send(t.Context(), n))
		return <-d.notes
	}
	got := show(Note{EngineFailed, "Engine failed", `a<b>: 1 & "2"`})
	require.Equal(t, "Samovar", got.app)
	require.Equal(t, "samovar", got.icon)
	require.Equal(t, "Engine failed", got.title)
	require.Equal(t, `a&lt;b&gt;: 1 &amp; "2"`, got.body)
	require.Zero(t, got.replaces)
	require.Equal(t, "samovar", got.hints["desktop-entry"].Value())
	require.EqualValues(t, 1, show(Note{Kind: EngineFailed}).replaces, "the one before is old")
	require.Zero(t, show(Note{Kind: Downloaded}).replaces)
	require.Zero(t, show(Note{Kind: Downloaded}).replaces, "each model is worth its own")

	d.can.Store([]string{})
	require.Empty(t, show(Note{NotSaving, "Nothing is saved now", "text"}).body)
	d.can.Store([]string{"body"})
	require.Equal(t, "<b>", show(Note{NotSaving, "Nothing is saved now", "<b>"}).body)
	require.NoError(t, send.Close())
}

func TestWithoutABusNothingIsLaunched(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all")
	send := NewSender(Options{})
	require.Error(t, send.Send(t.Context(), Note{}))
	require.NoError(t, send.Close())
}
