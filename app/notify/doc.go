// Package notify tells the desktop of what its user would want to know with no window
// open: downloads that ended, engines that failed, KV that is not saved.
//
// Whether something is worth a notification is decided from what has happened, at a time
// that is given, by a Decider, which neither sleeps nor sends. A Sender shows what it
// decided: through org.freedesktop.Notifications on Linux, by osascript on macOS.
package notify
