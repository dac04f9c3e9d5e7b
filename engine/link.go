package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// link is the conversation with one ready worker: it sends requests and deals
// what comes back to their streams. It lives as long as its worker.
type link struct {
	out  chan []byte   // frames to the worker
	gone chan struct{} // closed by die

	mu      sync.Mutex
	streams map[string]*stream
	// measured holds who waits for a round of the raw loop.
	measured map[string]chan<- wire.Measured
	dead     error // set once; no stream is added after it
	last     wire.Pulse
}

// outgoingFrames is how many frames to the worker may wait before submitting
// blocks: the worker's reader takes them at once.
const outgoingFrames = 256

func newLink() *link {
	return &link{out: make(chan []byte, outgoingFrames), gone: make(chan struct{}), streams: map[string]*stream{}, measured: map[string]chan<- wire.Measured{}}
}

// errFull says that maxInFlight requests have not ended.
var errFull = errors.New("too many requests in flight")

// submit sends a request to the worker and returns its stream. See errFull.
func (l *link) submit(r infer.Request) (*stream, error) {
	frame, err := wire.Append(nil, wire.KindSubmit, wire.Submit{Request: r})
	if err != nil {
		return nil, &infer.Error{Code: infer.CodeInvalid, Err: err,
			Message: "The request cannot be handed to the engine.", Hint: "Make it smaller."}
	}
	s := newStream(r.ID)
	s.cancel = func() { l.forget(s, true) }
	l.mu.Lock()
	if l.dead != nil {
		defer l.mu.Unlock()
		return nil, l.dead
	}
	if len(l.streams) >= maxInFlight {
		defer l.mu.Unlock()
		return nil, errFull
	}
	if l.streams[r.ID] != nil {
		defer l.mu.Unlock()
		return nil, &infer.Error{Code: infer.CodeInternal, Message: fmt.Sprintf("A request with the id %q is running already.", r.ID)}
	}
	l.streams[r.ID] = s
	l.mu.Unlock()
	l.send(frame)
	return s, nil
}

// send queues a frame for the worker; for a dead one it does nothing.
func (l *link) send(frame []byte) {
	select {
	case l.out <- frame:
	case <-l.gone:
	}
}

// forget removes a stream; tell says that the worker must be told to cancel.
func (l *link) forget(s *stream, tell bool) {
	l.mu.Lock()
	known := l.streams[s.id] == s
	if known {
		delete(l.streams, s.id)
	}
	l.mu.Unlock()
	if known && tell {
		if frame, err := wire.Append(nil, wire.KindCancel, wire.Cancel{ID: s.id}); err == nil {
			l.send(frame)
		}
	}
}

func (l *link) find(id string) *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams[id]
}

func (l *link) pulse() wire.Pulse {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// write sends frames until the link dies. When the pipe breaks it goes on
// taking, so that nobody blocks on a worker whose death is not yet noticed.
func (l *link) write(w io.Writer) {
	broken := false
	for {
		select {
		case frame := <-l.out:
			if !broken {
				_, err := w.Write(frame)
				broken = err != nil
			}
		case <-l.gone:
			return
		}
	}
}

// read deals the worker's frames until there are no more, and returns why.
func (l *link) read(r *wire.Reader) error {
	for {
		f, err := r.Read()
		if err != nil {
			return err
		}
		if err := l.deal(f); err != nil {
			return err
		}
	}
}

func (l *link) deal(f wire.Frame) error {
	switch f.Kind {
	case wire.KindAccepted:
		var m wire.Accepted
		if err := f.Decode(&m); err != nil {
			return err
		}
		if s := l.find(m.ID); s != nil {
			s.accept(m.Usage)
		}
	case wire.KindOutput:
		var m wire.Output
		if err := f.Decode(&m); err != nil {
			return err
		}
		if s := l.find(m.ID); s != nil {
			if m.Event.End != nil {
				l.forget(s, false)
			}
			s.push(m.Event)
		}
	case wire.KindRejected:
		var m wire.Rejected
		if err := f.Decode(&m); err != nil {
			return err
		}
		if s := l.find(m.ID); s != nil {
			l.forget(s, false)
			s.fail(&m.Error)
		}
	case wire.KindMeasured:
		var m wire.Measured
		if err := f.Decode(&m); err != nil {
			return err
		}
		l.mu.Lock()
		done := l.measured[m.ID]
		delete(l.measured, m.ID)
		l.mu.Unlock()
		if done != nil {
			done <- m // it has room for one
		}
	case wire.KindPulse:
		var m wire.Pulse
		if err := f.Decode(&m); err != nil {
			return err
		}
		l.mu.Lock()
		l.last = m
		l.mu.Unlock()
	default:
		return fmt.Errorf("%w: unexpected %s", wire.ErrMalformed, f.Kind)
	}
	return nil
}

// die fails all streams; the link takes no more. It is called once.
func (l *link) die(err error) {
	close(l.gone)
	l.mu.Lock()
	l.dead = err
	streams := l.streams
	l.streams = map[string]*stream{}
	l.mu.Unlock()
	for _, s := range streams {
		s.fail(err)
	}
}
