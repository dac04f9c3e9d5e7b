package llama

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
	yzma "github.com/hybridgroup/yzma/pkg/llama"
)

// quiet makes the library print warnings and errors only, on standard error,
// where the parent keeps the end of it for reports. By itself it prints a line
// for each tensor.
var quiet = sync.OnceFunc(func() {
	shown := false
	yzma.LogSet(purego.NewCallback(func(level int32, text *byte, _ uintptr) uintptr {
		if w := watcher.Load(); w != nil {
			(*w)(cString(text, 1<<20))
		}
		if level != int32(yzma.LogLevelContinue) {
			shown = level == int32(yzma.LogLevelWarn) || level == int32(yzma.LogLevelError)
		}
		if shown {
			_, _ = os.Stderr.WriteString(cString(text, 4096))
		}
		return 0
	}))
})

var watcher atomic.Pointer[func(text string)]

// WatchLog has all that the library logs told to f, until that is nil. It is for tests and
// for debugging.
func WatchLog(f func(text string)) {
	if f == nil {
		watcher.Store(nil)
		return
	}
	watcher.Store(&f)
}

// cString reads a NUL-terminated string of at most limit bytes.
func cString(p *byte, limit int) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < limit && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
