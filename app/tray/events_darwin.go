//go:build tray || desktop

package tray

/*
#cgo darwin CFLAGS: -x objective-c -fobjc-arc
#cgo darwin LDFLAGS: -framework Foundation -framework AppKit
#include "events_darwin.h"
*/
import "C"

import "sync/atomic"

// events are who takes what the system tells us; set before it is told of us.
var events atomic.Pointer[Options]

// longestURL bounds what is taken from whoever made the link, in bytes.
const longestURL = 2048

// takeEvents has the system hand us the links of our scheme, and tell us when somebody
// opens the app that runs. systray's delegate takes neither, so these are Apple event
// handlers of our own. It must be called before the main loop runs: see events_darwin.m.
func takeEvents(o Options) {
	events.Store(&o)
	C.samovar_take_events()
}

// samovarURL is called on the main thread, so it leaves at once.
//
//export samovarURL
func samovarURL(text *C.char) {
	o := events.Load()
	if o == nil || o.URL == nil || text == nil {
		return
	}
	if url := C.GoString(text); len(url) <= longestURL {
		go o.URL(url)
	}
}

// samovarReopened is called on the main thread, so it leaves at once.
//
//export samovarReopened
func samovarReopened() {
	if o := events.Load(); o != nil && o.Reopened != nil {
		go o.Reopened()
	}
}
