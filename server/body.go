package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// readBody returns the whole body, whatever its Content-Type says: curl's -d
// posts JSON as a form.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "The request body is compressed (Content-Encoding: %s); send it as it is.", shown(enc))
	}
	if r.ContentLength > s.opts.MaxBodyBytes {
		c.Response().Header().Set("Connection", "close") // rather than read it all
		return nil, tooLarge(s.opts.MaxBodyBytes)
	}
	rc := http.NewResponseController(c.Response())
	// What can't set deadlines, like a recorder, needs none.
	_ = rc.SetReadDeadline(time.Now().Add(s.opts.BodyTimeout))
	// A deadline left behind would look like a client gone.
	defer rc.SetReadDeadline(time.Time{})
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.opts.MaxBodyBytes))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &over):
		return nil, tooLarge(over.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refuse(http.StatusRequestTimeout, "The request body did not arrive within %v.", s.opts.BodyTimeout)
	case r.Context().Err() != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.Join(errClientGone, err)
	}
	return nil, &statusError{http.StatusBadRequest, &infer.Error{
		Code: infer.CodeInvalid, Message: "The request body could not be read.", Err: err,
	}}
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "The request body is larger than the limit of %d bytes.", limit)
}

// writeJSON sends v as the whole answer.
func (s *Server) writeJSON(c echo.Context, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w := c.Response()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get(headerTiming) == "" {
		h.Set(headerTiming, totalTiming(identityOf(c).arrived))
	}
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(body.Bytes()); err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}

// serverTiming is the value of the Server-Timing header, in milliseconds.
func serverTiming(a infer.Anatomy, arrived time.Time) string {
	return fmt.Sprintf("queue;dur=%.2f, restore;dur=%.2f, prefill;dur=%.2f, first-token;dur=%.2f, decode;dur=%.2f, %s",
		millis(a.Queue), millis(a.Restore), millis(a.Prefill), millis(a.TTFT), millis(a.Decode), totalTiming(arrived))
}

// totalTiming is all that is known of an answer that was not generated.
func totalTiming(arrived time.Time) string {
	return fmt.Sprintf("total;dur=%.2f", millis(time.Since(arrived)))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

const headerTiming = "Server-Timing"
