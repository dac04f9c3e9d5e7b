package worker

import (
	"io"
	"sync"

	"samovar/engine/internal/wire"
)

// outbox collects frames and writes them to the parent. Whoever flushes writes:
// a goroutine of its own would have to be woken for each step, and on a machine
// whose cores all compute that costs more than the write.
//
// The parent's reader never waits for anybody, so a write is short; and a parent
// that has stopped altogether has no use for a step.
type outbox struct {
	w io.Writer

	mu     sync.Mutex
	buf    []byte
	closed bool
}

// flushBytes is when send writes by itself.
const flushBytes = 64 << 10

// send queues a frame for the next flush; after close it does nothing. A frame
// that cannot be encoded is a bug of ours.
func (o *outbox) send(k wire.Kind, v any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf, err := wire.Append(o.buf, k, v)
	if err != nil {
		panic(err)
	}
	o.buf = buf
	if len(o.buf) >= flushBytes {
		o.write()
	}
}

// sendNow is send and flush.
func (o *outbox) sendNow(k wire.Kind, v any) {
	o.send(k, v)
	o.flush()
}

// flush writes what waits.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write()
}

// write is called with the lock held.
func (o *outbox) write() {
	if len(o.buf) > 0 && !o.closed {
		// A parent that is gone is noticed by the reader.
		_, _ = o.w.Write(o.buf)
	}
	o.buf = o.buf[:0]
}

// close flushes; nothing is written after it.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write()
	o.closed = true
}
