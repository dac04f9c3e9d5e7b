//go:build (tray || desktop) && !darwin

package tray

// takeEvents does nothing: here a link starts `samovar open`, and whoever opens the app
// starts another one, and both of them tell us.
func takeEvents(Options) {}
