package sse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Writer is one open event stream.
type Writer struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	// deadline is the connection's write deadline. It is moved at most once a
	// second: moving it for each token costs more than the write.
	deadline time.Time
	buf      bytes.Buffer
	enc      *json.Encoder
	err      error
}

// deadlineStep is how much later than timeout a write may fail, at most.
const deadlineStep = time.Second

// Start sends the headers of an event stream and status 200. A write that the
// client does not take within timeout fails; 0 waits for ever.
func Start(w http.ResponseWriter, timeout time.Duration) *Writer {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies of the nginx kind would hold events back
	w.WriteHeader(http.StatusOK)
	s := &Writer{w: w, rc: http.NewResponseController(innermost(w)), timeout: timeout}
	s.enc = json.NewEncoder(&s.buf)
	s.enc.SetEscapeHTML(false)
	return s
}

// innermost returns the writer within wrappers: their own Flush may hide the
// error that tells of a client gone.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

// Event adds one event with v as JSON. Without a name it has only data.
func (s *Writer) Event(name string, v any) {
	if s.err != nil {
		return
	}
	s.begin(name)
	// Encode ends with a newline, which ends the data line; JSON has no other.
	if err := s.enc.Encode(v); err != nil {
		s.err = fmt.Errorf("sse: encode event %q: %w", name, err)
		return
	}
	s.buf.WriteByte('\n')
}

// Data adds one event with text as it is; it must be a single line.
func (s *Writer) Data(text string) {
	if s.err != nil {
		return
	}
	s.begin("")
	s.buf.WriteString(text)
	s.buf.WriteString("\n\n")
}

func (s *Writer) begin(name string) {
	if name != "" {
		s.buf.WriteString("event: ")
		s.buf.WriteString(name)
		s.buf.WriteByte('\n')
	}
	s.buf.WriteString("data: ")
}

// Buffered is how many bytes wait for Flush.
func (s *Writer) Buffered() int { return s.buf.Len() }

// Flush sends what was added. Its error is final: the client is gone, or too
// slow.
func (s *Writer) Flush() error {
	if s.err != nil {
		return s.err
	}
	if s.buf.Len() == 0 {
		return nil
	}
	if now := time.Now(); s.timeout > 0 && now.Add(s.timeout).After(s.deadline) {
		s.deadline = now.Add(s.timeout + deadlineStep)
		s.keep(s.rc.SetWriteDeadline(s.deadline))
	}
	if s.err == nil {
		_, err := s.w.Write(s.buf.Bytes())
		s.keep(err)
	}
	if s.err == nil {
		s.keep(s.rc.Flush())
	}
	s.buf.Reset()
	return s.err
}

// keep remembers an error; recorders and such writers lack what it takes to
// set deadlines, which is none.
func (s *Writer) keep(err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.err = fmt.Errorf("sse: %w", err)
	}
}
