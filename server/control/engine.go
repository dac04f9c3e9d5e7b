package control

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// Engine is what can be done to an engine. All of it may be called twice.
type Engine interface {
	Start()
	Stop(ctx context.Context) error
	Restart(reason string)
}

// stopWithin is how long a client waits for an engine to stop; it goes on stopping after
// that.
const stopWithin = 30 * time.Second

func (a *API) registerEngine(e *echo.Echo) {
	e.GET("/samovar/v1/engine", a.engine)
	e.POST("/samovar/v1/engine/start", func(c echo.Context) error {
		a.Engine.Start()
		return a.engine(c)
	})
	e.POST("/samovar/v1/engine/restart", func(c echo.Context) error {
		a.Engine.Restart("Somebody asked for it.")
		return a.engine(c)
	})
	e.POST("/samovar/v1/engine/stop", func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), stopWithin)
		defer cancel()
		if err := a.Engine.Stop(ctx); errors.Is(err, context.DeadlineExceeded) {
			return &infer.Error{Code: infer.CodeConflict, Message: "The engine has not stopped yet.", Hint: "GET /samovar/v1/engine says how far it is."}
		} else if err != nil {
			return err
		}
		return a.engine(c)
	})
}

// engine answers with the engine's status.
func (a *API) engine(c echo.Context) error {
	return a.WriteJSON(c, http.StatusOK, a.Status())
}
