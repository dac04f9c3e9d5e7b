package control_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/control"
)

// fake is an engine that does as it is told at once.
type fake struct {
	state  infer.State
	reason string
	err    error
}

func (f *fake) Start() { f.state = infer.StateStarting }

func (f *fake) Stop(context.Context) error {
	if f.err == nil {
		f.state = infer.StateStopped
	}
	return f.err
}

func (f *fake) Restart(reason string) { f.state, f.reason = infer.StateStarting, reason }

func TestEngineRoutes(t *testing.T) {
	f := &fake{state: infer.StateReady}
	a := control.API{
		Engine: f, Status: func() infer.Status { return infer.Status{State: f.state} },
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
	code, _ = ask("GET", "/samovar/v1/engine/stop")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	f.err = context.DeadlineExceeded
	code, _ = ask("POST", "/samovar/v1/engine/stop")
	require.GreaterOrEqual(t, code, 400)
}
