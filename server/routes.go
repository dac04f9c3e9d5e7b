package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"samovar/server/control"
)

// newEcho joins middleware and routes. The middleware runs for unknown routes,
// too, and in this order.
func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	e.Pre(identify, s.observe, s.recoverPanics, s.guard.check, tidyPath)

	e.Use(s.pageOnly)

	get := []string{http.MethodGet, http.MethodHead}
	e.Match(get, "/", s.root)
	e.Match(get, "/health", s.health)
	e.Match(get, "/health/live", s.live)
	e.Match(get, "/health/ready", s.ready)
	e.Match(get, "/health/startup", s.startup)
	e.Match(get, "/v1/models", s.listModels)
	e.Match(get, "/v1/models/*", s.getModel) // a model's name may hold slashes
	e.POST("/v1/chat/completions", s.generate("openai", decodeChat))
	e.POST("/v1/messages", s.generate("anthropic", decodeMessages))
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})))
	s.registerAgents(e)
	s.registerPage(e)
	if s.opts.Library != nil {
		s.registerOllama(e, s.opts.Library)
	}
	own := control.API{Engine: s.opts.Engine, Library: s.opts.Library, Admin: s.opts.Admin, Desktop: s.opts.Desktop, ReadBody: s.readBody, Requests: s.latency, Stopping: s.stopping,
		WriteTimeout: s.opts.WriteTimeout, WriteJSON: s.writeJSON}
	own.Register(e)
	return e
}
