package worker

import (
	"io"

	"samovar/engine/internal/wire"
)

// outbox writes frames to the parent from its own goroutine. Frames that are
// waiting are written together.
type outbox struct {
	frames chan []byte // nil is the last one
	done   chan struct{}
}

// outboxFrames is how many frames may wait: thousands of tokens, so that it is
// full only when the parent does not read, which it always does while it lives.
const outboxFrames = 4096

// gatherBytes is how much is joined into one write.
const gatherBytes = 64 << 10

// startOutbox starts writing to w until close.
func startOutbox(w io.Writer) *outbox {
	o := &outbox{frames: make(chan []byte, outboxFrames), done: make(chan struct{})}
	go o.run(w)
	return o
}

func (o *outbox) run(w io.Writer) {
	defer close(o.done)
	last := false
	for !last {
		var buf []byte
		buf, last = o.gather()
		if len(buf) > 0 {
			// A parent that is gone is noticed by the reader; this only drains.
			_, _ = w.Write(buf)
		}
	}
}

// gather waits for a frame and adds what else is there. last says that there
// will be no more.
func (o *outbox) gather() (buf []byte, last bool) {
	frame := <-o.frames
	for frame != nil {
		buf = append(buf, frame...)
		if len(buf) >= gatherBytes {
			return buf, false
		}
		select {
		case frame = <-o.frames:
		default:
			return buf, false
		}
	}
	return buf, true
}

// send queues a frame; after close it does nothing. A frame that cannot be
// encoded is a bug of ours.
func (o *outbox) send(k wire.Kind, v any) {
	buf, err := wire.Append(nil, k, v)
	if err != nil {
		panic(err)
	}
	select {
	case o.frames <- buf:
	case <-o.done:
	}
}

// close writes what waits and ends the goroutine. It is called once.
func (o *outbox) close() {
	o.frames <- nil
	<-o.done
}
