package sse_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/server/sse"
)

func TestFraming(t *testing.T) {
	rec := httptest.NewRecorder()
	w := sse.Start(rec, time.Second)
	w.Event("", map[string]string{"a": "<line\nbreak>"})
	w.Event("named", []int{1})
	w.Data("[DONE]")
	require.Empty(t, rec.Body.String(), "nothing is sent before Flush")
	require.NoError(t, w.Flush())
	require.Equal(t, "data: {\"a\":\"<line\\nbreak>\"}\n\nevent: named\ndata: [1]\n\ndata: [DONE]\n\n", rec.Body.String())
	require.True(t, rec.Flushed)
	require.Equal(t, "text/event-stream; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
}

func TestAnEventThatCannotBeEncodedEndsTheStream(t *testing.T) {
	rec := httptest.NewRecorder()
	w := sse.Start(rec, 0)
	w.Event("", func() {})
	w.Data("more")
	require.Error(t, w.Flush())
	require.Empty(t, rec.Body.String())
}

// wrapped hides its writer's error, as middleware's writers do.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w wrapped) Flush()                      {}

// broken takes bytes, as a buffer does, and fails when they have to leave.
type broken struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

var errGone = errors.New("gone")

func (b *broken) FlushError() error { return errGone }

func (b *broken) SetWriteDeadline(t time.Time) error {
	b.deadlines = append(b.deadlines, t)
	return nil
}

func TestTheFirstErrorIsFinal(t *testing.T) {
	under := &broken{ResponseRecorder: httptest.NewRecorder()}
	w := sse.Start(wrapped{under}, time.Minute)
	require.NoError(t, w.Flush(), "nothing to send")
	w.Data("a")
	require.ErrorIs(t, w.Flush(), errGone)
	w.Data("b")
	require.ErrorIs(t, w.Flush(), errGone)
	require.Equal(t, "data: a\n\n", under.Body.String())
	require.Len(t, under.deadlines, 1)
	require.WithinDuration(t, time.Now().Add(time.Minute), under.deadlines[0], 10*time.Second)
}
