package worker

import (
	"io"

	"samovar/engine/internal/wire"
)

// outbox writes frames to the parent from its own goroutine. Frames that are
// waiting are written together.
type outbox struct {
	frames chan []byte
	done   chan struct{}
	err    error // why writing ended; read after done
}

// outboxFrames is how many frames may wait: thousands of tokens, so that it is
// full only when the parent does not read, which it always does while it lives.
const outboxFrames = 4096

// startOutbox starts writing to w. The owner calls close and waits.
func startOutbox(w io.Writer) *outbox {
	o := &outbox{frames: make(chan []byte, outboxFrames), done: make(chan struct{})}
	go o.run(w)
	return o
}

func (o *outbox) run(w io.Writer) {
	defer close(o.done)
	for frame := range o.frames {
		if o.err != nil {
			continue // the parent is gone: drain, so that nobody blocks
		}
		buf := frame
	gather:
		for len(buf) < 64<<10 {
			select {
			case more, ok := <-o.frames:
				if !ok {
					break gather
				}
				buf = append(buf, more...)
			default:
				break gather
			}
		}
		_, o.err = w.Write(buf)
	}
}

// send queues a frame. A frame that cannot be encoded is a bug of ours and is
// told as one.
func (o *outbox) send(k wire.Kind, v any) {
	buf, err := wire.Append(nil, k, v)
	if err != nil {
		panic(err)
	}
	o.frames <- buf
}

// close writes what waits and returns why writing failed, if it did.
func (o *outbox) close() error {
	close(o.frames)
	<-o.done
	return o.err
}
