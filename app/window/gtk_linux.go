//go:build desktop

package window

/*
#cgo pkg-config: gtk+-3.0 webkit2gtk-4.1
#include <stdlib.h>
#include "gtk_linux.h"
*/
import "C"

import (
	"context"
	"os"
	"unsafe"
)

// terminatedByAPI is WebKit's reason for a page that we ended ourselves.
const terminatedByAPI = 2

// prepare starts the toolkit on this thread, with a folder for its files; it returns false
// where there is no display.
func prepare(dir string) bool {
	// As Wails does, which comes later.
	if session := os.Getenv("XDG_SESSION_TYPE"); os.Getenv("GDK_BACKEND") == "" && (session == "" || session == "unspecified" || session == "x11") {
		os.Setenv("GDK_BACKEND", "x11")
	}
	files := C.CString(dir)
	defer C.free(unsafe.Pointer(files))
	if C.samovar_gtk_init(files) == 0 {
		return false
	}
	if os.Getenv("GTK_THEME") == "" { // else it is somebody's wish
		followDesktop()
	}
	return true
}

// followDesktop has the window be dark when the desktop is, from before there is one.
func followDesktop() {
	s, err := openScheme(context.Background())
	if err != nil {
		return // nothing tells; the theme does
	}
	if dark, ok := s.dark(context.Background()); ok {
		C.samovar_prefer_dark(cBool(dark))
	}
	go s.watch(func(dark bool) { C.samovar_prefer_dark_later(cBool(dark)) }) // for as long as the process
}

func cBool(yes bool) C.int {
	if yes {
		return 1
	}
	return 0
}

// dark says whether the desktop is.
func dark() bool { return C.samovar_dark() != 0 }

// attach has the page watched by its toolkit.
func attach(g *glass) {
	shown.Store(g)
	C.samovar_attach()
}

// front has nothing to add to what Wails does.
func front() {}

// reload loads the page anew, in a new process.
func reload() bool { return C.samovar_reload() != 0 }

//export samovarContentDied
func samovarContentDied(reason C.int) {
	if reason == terminatedByAPI {
		return
	}
	why := "it crashed"
	if reason == 1 {
		why = "it took too much memory"
	}
	if g := shown.Load(); g != nil {
		go g.session.died(why)
	}
}
