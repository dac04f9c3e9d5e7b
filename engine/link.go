package engine

import (
	"fmt"
	"io"
	"sync"
	"time"

	"samovar/engine/internal/wire"
)

// link is the conversation with one ready worker: it sends frames and deals what
// comes back to the roster. It lives as long as its worker.
type link struct {
	roster *roster
	// log takes lines for the log.
	log   func(wire.Log)
	watch watchdog
	// backlog is sent first. It is set before the link is in use.
	backlog [][]byte
	out     chan []byte   // frames to the worker
	gone    chan struct{} // closed by die

	mu sync.Mutex
	// measured holds who waits for a round of the raw loop.
	measured map[string]chan<- wire.Measured
	// asked holds who waits for an answer.
	asked map[string]chan<- wire.Answer
}

// outgoingFrames is how many frames to the worker may wait before submitting
// blocks: the worker's reader takes them at once.
const outgoingFrames = 256

func newLink(r *roster, log func(wire.Log)) *link {
	return &link{roster: r, log: log, out: make(chan []byte, outgoingFrames), gone: make(chan struct{}), measured: map[string]chan<- wire.Measured{}, asked: map[string]chan<- wire.Answer{}}
}

// send queues a frame for the worker; for a dead one it does nothing.
func (l *link) send(frame []byte) {
	select {
	case l.out <- frame:
	case <-l.gone:
	}
}

// ping asks the worker whether it lives, unless too much waits to be sent already.
func (l *link) ping() bool {
	frame, err := wire.Append(nil, wire.KindPing, wire.Ping{})
	return err == nil && l.offer(frame)
}

// offer is send for what may be left out: it does not wait.
func (l *link) offer(frame []byte) bool {
	select {
	case l.out <- frame:
		return true
	default:
		return false
	}
}

// write sends frames until the link dies. When the pipe breaks it goes on
// taking, so that nobody blocks on a worker whose death is not yet noticed.
func (l *link) write(w io.Writer) {
	broken := false
	put := func(frame []byte) {
		if !broken {
			_, err := w.Write(frame)
			broken = err != nil
		}
	}
	for _, frame := range l.backlog {
		put(frame)
	}
	l.backlog = nil
	for {
		select {
		case frame := <-l.out:
			put(frame)
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
		return decoded(f, l.roster.accepted)
	case wire.KindOutput:
		return decoded(f, l.roster.output)
	case wire.KindRejected:
		return decoded(f, l.roster.rejected)
	case wire.KindPulse:
		return decoded(f, func(m wire.Pulse) { l.roster.pulsed(m, time.Now()) })
	case wire.KindMeasured:
		return decoded(f, l.answer)
	case wire.KindAnswer:
		return decoded(f, l.answerQuery)
	case wire.KindLog:
		return decoded(f, l.log)
	case wire.KindPong:
		return decoded(f, func(m wire.Pong) { l.watch.answered(m, time.Now()) })
	default:
		return fmt.Errorf("%w: unexpected %s", wire.ErrMalformed, f.Kind)
	}
}

func decoded[M any](f wire.Frame, use func(M)) error {
	var m M
	if err := f.Decode(&m); err != nil {
		return err
	}
	use(m)
	return nil
}

func (l *link) answer(m wire.Measured) {
	l.mu.Lock()
	done := l.measured[m.ID]
	delete(l.measured, m.ID)
	l.mu.Unlock()
	if done != nil {
		done <- m // it has room for one
	}
}

func (l *link) answerQuery(a wire.Answer) {
	l.mu.Lock()
	done := l.asked[a.ID]
	delete(l.asked, a.ID)
	l.mu.Unlock()
	if done != nil {
		done <- a // it has room for one
	}
}

// die ends the conversation. It is called once.
func (l *link) die() { close(l.gone) }
