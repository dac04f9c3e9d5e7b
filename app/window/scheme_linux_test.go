package window

import (
	"bufio"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// desktopOf is a session bus on which a desktop tells its colours.
type desktopOf struct {
	conn *dbus.Conn

	mu    sync.Mutex
	value any
}

func (d *desktopOf) is(value any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.value = value
}

// Read is the portal's.
func (d *desktopOf) Read(namespace, key string) (dbus.Variant, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if namespace != appearance || key != colourScheme || d.value == nil {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.portal.Error.NotFound", nil)
	}
	return dbus.MakeVariant(dbus.MakeVariant(d.value)), nil
}

func newDesktop(t *testing.T) *desktopOf {
	t.Helper()
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	out, err := daemon.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, daemon.Start(), "the Debian package dbus has it")
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(line))
	conn, err := dbus.ConnectSessionBus()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	d := &desktopOf{conn: conn}
	require.NoError(t, conn.Export(d, portalPath, portalSettings))
	return d
}

func (d *desktopOf) appears(t *testing.T) {
	t.Helper()
	reply, err := d.conn.RequestName(portal, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	require.Equal(t, dbus.RequestNameReplyPrimaryOwner, reply)
}

func TestTheDesktopSaysWhetherItIsDark(t *testing.T) {
	d := newDesktop(t)
	s, err := openScheme(t.Context())
	require.NoError(t, err)
	defer s.close()
	_, ok := s.dark(t.Context())
	require.False(t, ok, "no portal")
	d.appears(t)
	for _, c := range []struct {
		value    any
		dark, ok bool
	}{{nil, false, false}, {uint32(0), false, false}, {uint32(1), true, true}, {uint32(2), false, true}, {uint32(7), false, false}, {"dark", false, false}} {
		d.is(c.value)
		dark, ok := s.dark(t.Context())
		require.Equal(t, c.dark, dark, c.value)
		require.Equal(t, c.ok, ok, c.value)
	}
}

func TestTheDesktopChangesItsMind(t *testing.T) {
	d := newDesktop(t)
	d.appears(t)
	s, err := openScheme(t.Context())
	require.NoError(t, err)
	heard, done := make(chan bool, 10), make(chan struct{})
	go func() {
		defer close(done)
		s.watch(func(dark bool) { heard <- dark })
	}()
	emit := func(body ...any) {
		require.NoError(t, d.conn.Emit(portalPath, portalSettings+".SettingChanged", body...))
	}
	emit("org.gnome.desktop.interface", colourScheme, dbus.MakeVariant("prefer-dark"))
	emit(appearance, "accent-color", dbus.MakeVariant(uint32(1)))
	emit(appearance, colourScheme)
	emit(appearance, colourScheme, "odd")
	for _, value := range []uint32{1, 2, 1, 0} {
		emit(appearance, colourScheme, dbus.MakeVariant(value))
		select {
		case dark := <-heard:
			require.Equal(t, value == 1, dark)
		case <-time.After(20 * time.Second):
			t.Fatal("it isn't heard")
		}
	}
	s.close()
	<-done
}
