package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// snapshot is the body of the health routes.
type snapshot struct {
	infer.Overview
	Version string `json:"version"`
}

func (s *Server) snapshot() snapshot {
	now := snapshot{s.opts.Engine.Overview(), s.opts.Version}
	now.Pool.Sequences, now.Transitions = nil, nil // for those who watch the events
	for i := range now.Models {
		now.Models[i].Pool.Sequences = nil
	}
	if s.draining.Load() {
		now.State, now.Reason = infer.StateDraining, "Samovar is stopping."
	}
	return now
}

// root shows a browser the dashboard, and tells clients that knock before they begin that
// we are here.
func (s *Server) root(c echo.Context) error {
	c.Response().Header().Add("Vary", "Accept")
	if served, err := s.page(c); served {
		return err
	}
	return s.writeJSON(c, http.StatusOK, map[string]string{"name": "samovar", "version": s.opts.Version})
}

// health is 200 with the engine's whole state, whatever it is.
func (s *Server) health(c echo.Context) error {
	return s.writeJSON(c, http.StatusOK, s.snapshot())
}

// live is 200 as long as the process answers.
func (s *Server) live(c echo.Context) error {
	return s.writeJSON(c, http.StatusOK, map[string]string{"status": "live"})
}

// ready is 200 while requests would be accepted: the default model is loaded, or will be
// when it is asked for.
func (s *Server) ready(c echo.Context) error {
	return s.probe(c, func(now snapshot) bool { return now.State == infer.StateReady || now.State == infer.StateUnloaded })
}

// startup is 503 until the first load has ended, well or not. An engine that
// has not begun to load is stopped, too, so that stopped alone says nothing.
func (s *Server) startup(c echo.Context) error {
	return s.probe(c, func(now snapshot) bool {
		loaded := now.LoadTime > 0 || now.Restarts > 0
		if loaded || now.State == infer.StateReady || now.State == infer.StateFailed || now.State == infer.StateUnloaded {
			s.started.Store(true)
		}
		return s.started.Load()
	})
}

func (s *Server) probe(c echo.Context, good func(snapshot) bool) error {
	now := s.snapshot()
	if good(now) {
		return s.writeJSON(c, http.StatusOK, now)
	}
	c.Response().Header().Set("Retry-After", retrySeconds(loadingLeft(now.Status, time.Now())))
	return s.writeJSON(c, http.StatusServiceUnavailable, now)
}

// loadingLeft estimates when to ask again: from the progress of the load,
// where there is one, between a second and a minute.
func loadingLeft(st infer.Status, now time.Time) time.Duration {
	const least, most = time.Second, time.Minute
	switch {
	case st.State == infer.StateStopped, st.State == infer.StateFailed:
		return 10 * time.Second // a person has to act
	case st.State != infer.StateStarting, st.Since.IsZero(), st.Progress < 0.05, st.Progress >= 1:
		return least
	}
	spent := max(0, now.Sub(st.Since))
	left := time.Duration(float64(spent) * (1 - st.Progress) / st.Progress)
	return min(max(left, least), most)
}
