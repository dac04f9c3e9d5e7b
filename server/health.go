package server

import (
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// snapshot is the body of the health routes.
type snapshot struct {
	infer.Status
	Version string `json:"version"`
}

func (s *Server) snapshot() snapshot { return snapshot{s.opts.Engine.Status(), s.opts.Version} }

// root tells a person, and clients that knock before they begin, that we are
// here.
func (s *Server) root(c echo.Context) error {
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

// ready is 200 while requests would be accepted.
func (s *Server) ready(c echo.Context) error {
	return s.probe(c, func(st infer.State) bool { return st == infer.StateReady })
}

// startup is 503 until the first load has ended, well or not.
func (s *Server) startup(c echo.Context) error {
	return s.probe(c, func(st infer.State) bool {
		if st != infer.StateStarting {
			s.started.Store(true)
		}
		return s.started.Load()
	})
}

func (s *Server) probe(c echo.Context, good func(infer.State) bool) error {
	now := s.snapshot()
	if good(now.State) {
		return s.writeJSON(c, http.StatusOK, now)
	}
	retry := statuses[infer.CodeStarting].retry
	c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	return s.writeJSON(c, http.StatusServiceUnavailable, now)
}
