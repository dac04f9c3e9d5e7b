package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

func TestHealth(t *testing.T) {
	began := time.Now().Add(-8500 * time.Millisecond)
	for _, tc := range []struct {
		name           string
		status         infer.Status
		ready, startup int
		retry          string
	}{
		{"not begun", infer.Status{State: infer.StateStopped}, 503, 503, "10"},
		{"loading", infer.Status{State: infer.StateStarting, Since: began, Progress: 0.5}, 503, 503, "9"},
		{"just begun", infer.Status{State: infer.StateStarting, Since: began, Progress: 0.01}, 503, 503, "1"},
		{"ready", infer.Status{State: infer.StateReady, LoadTime: 1}, 200, 200, ""},
		{"failed", infer.Status{State: infer.StateFailed, Reason: "no such file"}, 503, 200, "10"},
		{"restarting", infer.Status{State: infer.StateStarting, LoadTime: 1, Restarts: 1}, 503, 200, "1"},
		{"stopped", infer.Status{State: infer.StateStopped, LoadTime: 1}, 503, 200, "10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newFake()
			e.status = tc.status
			h := server.New(server.Options{Engine: e, Version: "1.2.3"}).Handler()
			for path, want := range map[string]int{
				"/": 200, "/health": 200, "/health/live": 200, "/health/ready": tc.ready, "/health/startup": tc.startup,
			} {
				for _, method := range []string{"GET", "HEAD"} {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, newRequest(method, path, ""))
					require.Equal(t, want, w.Code, method+path)
					require.Equal(t, method == "HEAD", w.Body.Len() == 0, method+path)
					if path == "/health/ready" {
						require.Equal(t, tc.retry, w.Header().Get("Retry-After"))
					}
					if path == "/health" && method == "GET" {
						var got map[string]any
						require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
						require.Equal(t, string(tc.status.State), got["state"])
						require.Equal(t, "1.2.3", got["version"])
					}
				}
			}
		})
	}
}

func TestStartupStaysDone(t *testing.T) {
	e := newFake()
	h := server.New(server.Options{Engine: e}).Handler()
	ask := func(st infer.Status) int {
		e.status = st
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest("GET", "/health/startup", ""))
		return w.Code
	}
	require.Equal(t, 503, ask(infer.Status{State: infer.StateStarting}))
	require.Equal(t, 200, ask(infer.Status{State: infer.StateFailed}))
	require.Equal(t, 200, ask(infer.Status{State: infer.StateStarting}))
}
