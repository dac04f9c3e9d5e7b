//go:build desktop

package window

/*
#cgo CFLAGS: -x objective-c -fobjc-arc
#cgo LDFLAGS: -framework Cocoa -framework UniformTypeIdentifiers
#include "cocoa_darwin.h"
*/
import "C"

// Wails uses a class of UniformTypeIdentifiers without linking it, hence the flag.

// prepare has nothing to do: Wails starts the toolkit, there is always a display, and
// WebKit's files belong where macOS has them for each app.
func prepare(string) bool { return true }

// dark says whether the desktop is.
func dark() bool { return C.samovar_dark() != 0 }

// attach has the process end with the session.
func attach(*glass) { C.samovar_attach() }

// reload cannot load a page that died: WebKit does so by itself, and for one that hangs
// the process is opened anew.
func reload() bool { return false }
