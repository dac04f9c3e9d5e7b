package control

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// Engine is what can be done to models. All of it may be done twice. An empty name means
// all of them; an unknown one is an *infer.Error with CodeModelNotFound.
type Engine interface {
	Overview() infer.Overview
	// Progress says how far each request is that has not ended. Like Overview it returns at
	// once.
	Progress() []infer.Progress
	Start(model string) error
	// Stop and Unload return when the workers have left, or ctx is done.
	Stop(ctx context.Context, model string) error
	Unload(ctx context.Context, model string) error
	Restart(model, reason string) error
	// Pin keeps a model in memory, or lets go of it.
	Pin(model string, pinned bool) error
	// Transitions returns a feed of the changes of models' states, until stop is called.
	// A slow reader misses some.
	Transitions() (feed <-chan infer.Transition, stop func())
}

// stopWithin is how long a client waits for an engine to stop; it goes on stopping after
// that.
const stopWithin = 30 * time.Second

func (a *API) registerEngine(e *echo.Echo) {
	const path = "/samovar/v1/engine"
	e.GET(path, a.engine)
	order := func(method, name string, do func(ctx context.Context, model string) error) {
		e.Add(method, path+"/"+name, func(c echo.Context) error {
			ctx, cancel := context.WithTimeout(c.Request().Context(), stopWithin)
			defer cancel()
			err := do(ctx, c.QueryParam("model"))
			if errors.Is(err, context.DeadlineExceeded) {
				return &infer.Error{Code: infer.CodeConflict, Message: "The engine has not stopped yet.", Hint: "GET /samovar/v1/engine says how far it is."}
			} else if err != nil {
				return err
			}
			return a.engine(c)
		})
	}
	order(http.MethodPost, "start", func(_ context.Context, model string) error { return a.Engine.Start(model) })
	order(http.MethodPost, "stop", a.Engine.Stop)
	order(http.MethodPost, "unload", a.Engine.Unload)
	order(http.MethodPost, "restart", func(_ context.Context, model string) error {
		return a.Engine.Restart(model, "Somebody asked for it.")
	})
	pin := func(pinned bool) func(context.Context, string) error {
		return func(_ context.Context, model string) error {
			if model == "" {
				return &infer.Error{Code: infer.CodeInvalid, Param: "model", Message: "Say which model: ?model=NAME."}
			}
			return a.Engine.Pin(model, pinned)
		}
	}
	order(http.MethodPost, "pin", pin(true))
	order(http.MethodDelete, "pin", pin(false))
}

// engine answers with the status of all models.
func (a *API) engine(c echo.Context) error {
	return a.WriteJSON(c, http.StatusOK, a.Engine.Overview())
}
