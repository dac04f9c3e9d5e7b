//go:build desktop

package window

import "C"

import "sync/atomic"

// shown is the window that the callbacks from C are about: a process has one.
var shown atomic.Pointer[glass]

// samovarLeads is called on the main thread for an address that the window does not go to.
//
//export samovarLeads
func samovarLeads(address *C.char) {
	url := C.GoString(address)
	g := shown.Load()
	if g == nil {
		return
	}
	go func() { // the main loop waits for nothing
		if err := g.leave(url); err != nil {
			g.options.Log.Warn("a link was not followed", "url", url, "err", err)
		}
	}()
}
