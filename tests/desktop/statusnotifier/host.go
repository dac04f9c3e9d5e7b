package statusnotifier

import (
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
	itemFace    = "org.kde.StatusNotifierItem"
	menuFace    = "com.canonical.dbusmenu"

	// patience bounds every wait. It is long: it ends only what has failed.
	patience = 60 * time.Second
)

// Host is a panel.
type Host struct {
	bus        *Bus
	conn       *dbus.Conn
	registered chan registration
}

type registration struct {
	sender string
	path   dbus.ObjectPath
}

// NewHost puts a panel on the bus.
func NewHost(t testing.TB, b *Bus) *Host {
	t.Helper()
	conn, err := b.connect()
	require.NoError(t, err)
	h := &Host{bus: b, conn: conn, registered: make(chan registration, 16)}
	t.Cleanup(h.Close)
	require.NoError(t, conn.Export(watcher{h}, watcherPath, watcherName))
	reply, err := conn.RequestName(watcherName, dbus.NameFlagDoNotQueue)
	require.NoError(t, err)
	require.Equal(t, dbus.RequestNameReplyPrimaryOwner, reply, "there is another panel")
	return h
}

// Close takes the panel away; another one can come once it returns.
func (h *Host) Close() {
	// The bus notices a closed connection only later. Errors are left alone: it may be
	// closed, or its bus gone.
	_, _ = h.conn.ReleaseName(watcherName)
	_ = h.conn.Close()
}

// watcher is what items see of the panel.
type watcher struct{ h *Host }

// RegisterStatusNotifierItem is called by items.
func (w watcher) RegisterStatusNotifierItem(sender dbus.Sender, service string) *dbus.Error {
	path := dbus.ObjectPath("/StatusNotifierItem")
	if p := dbus.ObjectPath(service); p.IsValid() {
		path = p
	}
	w.h.registered <- registration{string(sender), path}
	return nil
}

// Item waits for the next item that registers.
func (h *Host) Item(t testing.TB) *Item {
	t.Helper()
	var r registration
	select {
	case r = <-h.registered:
	case <-time.After(patience):
		require.Fail(t, "nobody registers a status item")
	}
	i := &Item{host: h, sender: r.sender, path: r.path, icons: make(chan dbus.Variant, 1024)}
	i.watch(t)
	return i
}
