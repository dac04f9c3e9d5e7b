package llama

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
	yzma "github.com/hybridgroup/yzma/pkg/llama"
	"github.com/hybridgroup/yzma/pkg/loader"
	"github.com/jupiterrider/ffi"
)

// abortableRows is the smallest step that is worth aborting. Smaller ones end
// soon, and the callback costs them 1 % (ENGINE.md §7).
const abortableRows = 32

// aborter ends a step from another goroutine. llama.cpp asks a callback before
// each node of the graph; a Go callback would cost 15 % of the step, so the callback
// is libc's strlen, and its argument a string that is empty or not.
type aborter struct {
	set  ffi.Fun // llama_set_abort_callback
	fn   uintptr // strlen; 0 if there is none, and steps are not aborted
	ctx  yzma.Context
	on   bool
	text *atomic.Uint32 // "\x01", or ""
	pin  runtime.Pinner
}

func prepAbort(dir string) (set ffi.Fun, strlen uintptr, err error) {
	lib, err := loader.LoadLibrary(dir, "llama")
	if err != nil {
		return ffi.Fun{}, 0, err
	}
	set, err = lib.Prep("llama_set_abort_callback", &ffi.TypeVoid, &ffi.TypePointer, &ffi.TypePointer, &ffi.TypePointer)
	if err != nil {
		return ffi.Fun{}, 0, err
	}
	strlen, _ = purego.Dlsym(purego.RTLD_DEFAULT, "strlen") // without it steps run to their end
	return set, strlen, nil
}

func newAborter(lib *Library, ctx yzma.Context) *aborter {
	a := &aborter{set: lib.setAbort, fn: lib.strlen, ctx: ctx, text: new(atomic.Uint32)}
	a.pin.Pin(a.text)
	return a
}

// arm prepares for a step and says whether it may be aborted.
func (a *aborter) arm(on bool) {
	on = on && a.fn != 0
	if on == a.on {
		return
	}
	a.on = on
	var fn, text uintptr
	if on {
		fn, text = a.fn, uintptr(unsafe.Pointer(a.text))
	}
	a.set.Call(nil, &a.ctx, &fn, &text)
}

func (a *aborter) close() { a.pin.Unpin() }

// Abort ends the step that is being computed, if it is long enough to be worth
// it and the backend can: Decode then returns ErrAborted, and so it does until
// Resume. Both may be called from any goroutine while the context is open. Metal
// does not ask (ENGINE.md §7): there only the size of the steps bounds them.
func (c *Context) Abort() { c.abort.text.Store(1) }

// Resume takes Abort back.
func (c *Context) Resume() { c.abort.text.Store(0) }
