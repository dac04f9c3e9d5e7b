package window

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Where desktops say whether they are dark. GTK 3 doesn't look there by itself.
const (
	portal          = "org.freedesktop.portal.Desktop"
	portalPath      = "/org/freedesktop/portal/desktop"
	portalSettings  = "org.freedesktop.portal.Settings"
	appearance      = "org.freedesktop.appearance"
	colourScheme    = "color-scheme"
	preferDark      = 1
	portalWithin    = 300 * time.Millisecond
	schemesInFlight = 8
)

// scheme is the desktop's choice of dark or light, told on its session bus.
type scheme struct {
	conn    *dbus.Conn
	changes chan *dbus.Signal
}

// openScheme listens to the desktop; it fails where nothing tells.
func openScheme(ctx context.Context) (*scheme, error) {
	conn, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the desktop whether it is dark: %w", err)
	}
	s := &scheme{conn: conn, changes: make(chan *dbus.Signal, schemesInFlight)}
	conn.Signal(s.changes)
	err = conn.AddMatchSignal(dbus.WithMatchInterface(portalSettings), dbus.WithMatchMember("SettingChanged"), dbus.WithMatchArg(0, appearance))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot ask the desktop whether it is dark: %w", err), conn.Close())
	}
	return s, nil
}

// dark says whether the desktop wants it so now; ok is false where it doesn't care. A
// desktop whose portal has to be started first is not waited for.
func (s *scheme) dark(ctx context.Context) (dark, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, portalWithin)
	defer cancel()
	var value dbus.Variant
	call := s.conn.Object(portal, portalPath).CallWithContext(ctx, portalSettings+".Read", dbus.FlagNoAutoStart, appearance, colourScheme)
	if call.Store(&value) != nil {
		return false, false
	}
	return preference(value)
}

// preference reads a colour scheme: 1 is dark, 2 light, anything else no preference.
func preference(v dbus.Variant) (dark, ok bool) {
	for {
		inner, more := v.Value().(dbus.Variant) // Read wraps it twice
		if !more {
			break
		}
		v = inner
	}
	n, isNumber := v.Value().(uint32)
	return n == preferDark, isNumber && (n == preferDark || n == 2)
}

// watch calls changed whenever the desktop changes its mind, until the connection closes.
func (s *scheme) watch(changed func(dark bool)) {
	for signal := range s.changes {
		if len(signal.Body) != 3 || signal.Body[1] != colourScheme {
			continue
		}
		value, ok := signal.Body[2].(dbus.Variant)
		if !ok {
			continue
		}
		dark, _ := preference(value) // without a preference it is light
		changed(dark)
	}
}

// close ends watch.
func (s *scheme) close() { _ = s.conn.Close() } // the bus may be gone
