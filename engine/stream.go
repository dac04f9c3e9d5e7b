package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"samovar/engine/infer"
)

// stream is one request's answer on its way from the link to its reader. The
// link never waits for the reader: what the reader has not taken yet is joined
// into one pending event, whose size is bounded by the request's max tokens.
type stream struct {
	id     string
	cancel func() // tells the roster

	// These are the roster's: the order of arrival; the request, and the tokens of its
	// answer that were delivered, to submit it again with; when the first was.
	number    uint64
	request   infer.Request
	said      []int32
	delivered bool
	arrived   time.Time
	first     time.Time
	// since is from when on it waits for a worker, prompt the length of its prompt, once
	// known.
	since    time.Time
	prompt   int
	deadline time.Time
	expiry   *time.Timer // nil without a deadline
	// submitted says that the worker there is has it, stuck that nothing has come of
	// that yet. deaths counts workers that died with it like that, one after the
	// other; alone those that had nothing else.
	submitted, stuck bool
	deaths, alone    int
	// resumes is how often it was submitted again; waited is how long it had waited for
	// the worker when it was submitted last.
	resumes int
	waited  time.Duration

	mu       sync.Mutex
	accepted infer.Usage
	pending  infer.Event
	dirty    bool  // pending holds something
	err      error // final, delivered after pending
	closed   bool
	wake     chan struct{} // capacity 1: something changed
	answered chan struct{} // closed once accepted or failed
}

func newStream(id string) *stream {
	return &stream{id: id, wake: make(chan struct{}, 1), answered: make(chan struct{})}
}

// Accepted implements infer.Stream.
func (s *stream) Accepted() infer.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Next implements infer.Stream.
func (s *stream) Next(ctx context.Context) (infer.Event, error) {
	for {
		s.mu.Lock()
		switch {
		case s.dirty:
			e := s.pending
			s.pending, s.dirty = infer.Event{}, false
			if e.End != nil {
				s.err = io.EOF
			}
			s.mu.Unlock()
			return e, nil
		case s.err != nil:
			err := s.err
			s.mu.Unlock()
			return infer.Event{}, err
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return infer.Event{}, ctx.Err()
		}
	}
}

// Close implements infer.Stream.
func (s *stream) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.cancel()
		s.fail(context.Canceled)
	}
}

// accept, push and fail are called by the roster only. A request that a second
// worker accepts keeps what the first one said.
func (s *stream) accept(u infer.Usage) {
	s.mu.Lock()
	select {
	case <-s.answered:
	default:
		s.accepted = u
		close(s.answered)
	}
	s.mu.Unlock()
}

func (s *stream) push(e infer.Event) {
	s.mu.Lock()
	if s.err == nil && s.pending.End == nil {
		s.pending.Text += e.Text
		s.pending.Tokens += e.Tokens
		s.pending.End = e.End
		s.dirty = true
	}
	s.mu.Unlock()
	s.notify()
}

// account makes the times of a request that waited for a worker, or that several workers
// had, its client's: from its arrival here, pauses included. The last worker knows only
// its own part.
func (s *stream) account(e *infer.End) {
	if s.resumes == 0 || s.first.IsZero() {
		e.Anatomy.Queue += s.waited
		if e.Anatomy.TTFT > 0 {
			e.Anatomy.TTFT += s.waited
		}
		return
	}
	e.Anatomy.TTFT = s.first.Sub(s.arrived)
	e.Anatomy.Decode = time.Since(s.first)
}

// fail ends the stream, unless it has ended already.
func (s *stream) fail(err error) {
	s.mu.Lock()
	if s.err == nil && s.pending.End == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.answer()
	s.notify()
}

// failure returns the error that ended the stream before anything was sent.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *stream) answer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.answered:
	default:
		close(s.answered)
	}
}

func (s *stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
