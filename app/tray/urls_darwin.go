//go:build tray || desktop

package tray

/*
#cgo darwin CFLAGS: -x objective-c -fobjc-arc
#cgo darwin LDFLAGS: -framework Foundation -framework AppKit
#include "urls_darwin.h"
*/
import "C"

import "sync/atomic"

// urlTaker takes the links; set before the system is told of us.
var urlTaker atomic.Pointer[func(string)]

// longestURL bounds what is taken from whoever made the link, in bytes.
const longestURL = 2048

// handleURLs has the system hand us the links of our scheme. systray's delegate does not
// take them, so this is an Apple event handler of its own.
func handleURLs(take func(string)) {
	urlTaker.Store(&take)
	C.samovar_take_urls()
}

// samovarURL is called on the main thread, so it leaves at once.
//
//export samovarURL
func samovarURL(text *C.char) {
	take := urlTaker.Load()
	if take == nil || text == nil {
		return
	}
	if url := C.GoString(text); len(url) <= longestURL {
		go (*take)(url)
	}
}
