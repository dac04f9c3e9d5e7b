//go:build desktop

package window

/*
#cgo CFLAGS: -x objective-c -fobjc-arc
#cgo LDFLAGS: -framework Cocoa -framework WebKit -framework UniformTypeIdentifiers
#include "cocoa_darwin.h"
*/
import "C"

// Wails uses a class of UniformTypeIdentifiers without linking it, hence the flag.

// prepare keeps the window at its page. Wails starts the toolkit, there is always a
// display, and WebKit's files belong where macOS has them for each app.
func prepare(string) bool {
	C.samovar_prepare()
	return true
}

// dark says whether the desktop is.
func dark() bool { return C.samovar_dark() != 0 }

// attach has the process end with the session, and its window be seen.
func attach(g *glass) {
	shown.Store(g)
	C.samovar_attach()
	front()
}

// front puts the window above those of other apps: the system may not let a process that
// another one has started be the active one, and then shows its window below.
func front() { C.samovar_front() }

// reload cannot load a page that died: WebKit does so by itself, and for one that hangs
// the process is opened anew.
func reload() bool { return false }
