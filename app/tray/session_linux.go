//go:build tray || desktop

package tray

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const watcherName = "org.kde.StatusNotifierWatcher"

// Session is the desktop that the menu is shown in.
type Session struct{ bus *dbus.Conn }

// OpenSession finds the desktop. Its error says what is missing, for people.
func OpenSession(ctx context.Context, lookupEnv func(string) (string, bool)) (*Session, error) {
	if !set(lookupEnv, "DISPLAY") && !set(lookupEnv, "WAYLAND_DISPLAY") {
		return nil, fmt.Errorf("there is no display")
	}
	// Private, and without launching a bus of our own, where nobody would be.
	bus, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("there is no session bus")
	}
	if err = bus.Auth(nil); err == nil {
		err = bus.Hello()
	}
	if err != nil {
		bus.Close()
		return nil, fmt.Errorf("the session bus does not let us in: %w", err)
	}
	return &Session{bus}, nil
}

func set(lookupEnv func(string) (string, bool), name string) bool {
	v, ok := lookupEnv(name)
	return ok && v != ""
}

// Hosted says whether there is a panel that shows menus now. If one comes later, the menu
// appears there.
func (s *Session) Hosted() bool {
	var has bool
	err := s.bus.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, watcherName).Store(&has)
	return err == nil && has
}

// Lost is closed when the desktop is gone: somebody has logged out. It is closed by Close,
// too.
func (s *Session) Lost() <-chan struct{} { return s.bus.Context().Done() }

// Close lets go of the desktop.
func (s *Session) Close() { s.bus.Close() }
