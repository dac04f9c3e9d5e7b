package server

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/anthropic"
	"samovar/server/openai"
)

func (s *Server) listModels(c echo.Context) error {
	all := s.opts.Engine.Models()
	if wantsAnthropic(c.Request()) {
		return s.writeJSON(c, http.StatusOK, anthropic.Models(all))
	}
	return s.writeJSON(c, http.StatusOK, openai.Models(all))
}

func (s *Server) getModel(c echo.Context) error {
	id := c.Param("*")
	if c.Request().URL.RawPath != "" { // the router saw the path as it was sent
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
	}
	for _, m := range s.opts.Engine.Models() {
		if m.ID != id {
			continue
		}
		if wantsAnthropic(c.Request()) {
			return s.writeJSON(c, http.StatusOK, anthropic.Model(m))
		}
		return s.writeJSON(c, http.StatusOK, openai.Model(m))
	}
	return &infer.Error{Code: infer.CodeModelNotFound, Param: "model",
		Message: fmt.Sprintf("The model %q is not served here.", shown(id)), Hint: "GET /v1/models lists what is."}
}
