//go:build (tray || desktop) && !linux

package tray

// quietly asks something of systray, for which there is always a menu bar here.
func quietly(ask func()) { ask() }
