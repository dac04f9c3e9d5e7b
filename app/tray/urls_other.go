//go:build (tray || desktop) && !darwin

package tray

// handleURLs does nothing: here a link starts `samovar open`, which tells us.
func handleURLs(func(string)) {}
