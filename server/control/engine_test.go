package control_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/control"
	"samovar/server/latency"
)

// fake is an engine that does as it is told at once.
type fake struct {
	state  infer.State
	reason string
	pinned bool
	err    error
	// progress is what it says of its requests.
	progress []infer.Progress
}

func (f *fake) Overview() infer.Overview {
	return infer.Overview{Status: infer.Status{State: f.state, Pinned: f.pinned}}
}

func (f *fake) Progress() []infer.Progress { return f.progress }

func (f *fake) Start(model string) error {
	if model == "none" {
		return &infer.Error{Code: infer.CodeModelNotFound}
	}
	f.state = infer.StateStarting
	return nil
}

func (f *fake) Stop(context.Context, string) error {
	if f.err == nil {
		f.state = infer.StateStopped
	}
	return f.err
}

func (f *fake) Unload(context.Context, string) error {
	f.state = infer.StateUnloaded
	return nil
}

func (f *fake) Restart(_, reason string) error {
	f.state, f.reason = infer.StateStarting, reason
	return nil
}

func (f *fake) Pin(_ string, pinned bool) error {
	f.pinned = pinned
	return nil
}

func (f *fake) Transitions() (<-chan infer.Transition, func()) { return nil, func() {} }

// nowhere takes measurements and keeps none.
type nowhere struct{}

func (nowhere) Observe(string, string, latency.Metric, time.Duration) {}
func (nowhere) Ended(latency.Record)                                  {}

func TestRequestsSayWhatTheyAreAt(t *testing.T) {
	f := &fake{}
	a := control.API{Engine: f, Requests: latency.New(nowhere{}),
		WriteJSON: func(c echo.Context, status int, v any) error { return c.JSON(status, v) }}
	e := echo.New()
	a.Register(e)
	ask := func() (r latency.Record) {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest("GET", "/samovar/v1/requests", nil))
		var got struct{ Requests []latency.Record }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Len(t, got.Requests, 1)
		return got.Requests[0]
	}
	now := time.Now()
	r := a.Requests.Begin(latency.Start{ID: "a", Arrived: now})
	require.Equal(t, infer.WaitQueue, ask().Wait.Reason)
	ahead := 0
	f.progress = []infer.Progress{{ID: "a", Phase: infer.PhaseWaiting, Since: now,
		Wait: &infer.Wait{Reason: infer.WaitSequences, Text: "All 8 places are taken; it is the next.", Ahead: &ahead, EstimateMS: 1500}}}
	got := ask()
	require.Equal(t, f.progress[0].Wait, got.Wait, "nobody ahead is told, too")
	require.WithinDuration(t, now, got.PhaseSince, time.Millisecond)
	r.Finish(latency.OK, 200, "", nil, now)
	require.Nil(t, ask().Wait)
	require.Empty(t, ask().Phase)
}

func TestEngineRoutes(t *testing.T) {
	f := &fake{state: infer.StateReady}
	a := control.API{
		Engine:    f,
		WriteJSON: func(c echo.Context, status int, v any) error { return c.JSON(status, v) },
	}
	e := echo.New()
	a.Register(e)
	ask := func(method, path string) (int, infer.State) {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		var s infer.Status
		_ = json.Unmarshal(w.Body.Bytes(), &s) // of an error there is no state
		return w.Code, s.State
	}
	code, state := ask("GET", "/samovar/v1/engine")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, infer.StateReady, state)
	for range 2 {
		code, state = ask("POST", "/samovar/v1/engine/stop")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, infer.StateStopped, state)
	}
	_, state = ask("POST", "/samovar/v1/engine/start")
	require.Equal(t, infer.StateStarting, state)
	f.state = infer.StateReady
	_, state = ask("POST", "/samovar/v1/engine/restart")
	require.Equal(t, infer.StateStarting, state)
	require.NotEmpty(t, f.reason)
	_, state = ask("POST", "/samovar/v1/engine/unload?model=m")
	require.Equal(t, infer.StateUnloaded, state)
	code, _ = ask("POST", "/samovar/v1/engine/pin?model=m")
	require.Equal(t, http.StatusOK, code)
	require.True(t, f.pinned)
	code, _ = ask("DELETE", "/samovar/v1/engine/pin?model=m")
	require.Equal(t, http.StatusOK, code)
	require.False(t, f.pinned)
	code, _ = ask("POST", "/samovar/v1/engine/pin")
	require.GreaterOrEqual(t, code, 400, "all cannot be pinned")
	code, _ = ask("POST", "/samovar/v1/engine/start?model=none")
	require.GreaterOrEqual(t, code, 400)
	code, _ = ask("GET", "/samovar/v1/engine/stop")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	f.err = context.DeadlineExceeded
	code, _ = ask("POST", "/samovar/v1/engine/stop")
	require.GreaterOrEqual(t, code, 400)
}
