//go:build (tray || desktop) && !linux

package tray

// label is a title as the system wants it.
func label(title string) string { return title }
