//go:build tray || desktop

package tray

import (
	"errors"

	"github.com/godbus/dbus/v5"
)

// quietly asks something of systray. It panics where the session bus is gone, which whoever
// ends the menu then (see Session.Lost) may learn only after us.
func quietly(ask func()) {
	defer func() {
		p := recover()
		if err, ok := p.(error); p != nil && (!ok || !errors.Is(err, dbus.ErrClosed)) {
			panic(p)
		}
	}()
	ask()
}
