// Package desktop tests the app as a desktop sees it: the menu bar through the panel's
// protocol, on a session bus of its own, and the processes that belong to it. Nothing
// here needs a display, but for what is in files of their own.
//
// samovar is built with the tag tray, without cgo and without the race detector: with it,
// systray's own menu counter would be reported.
package desktop
