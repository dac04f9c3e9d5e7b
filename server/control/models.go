package control

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

// Library is what can be done about the models on this machine. Errors are *infer.Error,
// or ctx's.
type Library interface {
	// Local lists the models whose files are here.
	Local(ctx context.Context) []infer.LocalModel
	// Memory is what the machine has, in bytes, and what of it models may have: what fits is
	// measured by that. 0 is unknown.
	Memory() (machine, usable int64)
	// Suggestions are the catalogue's, for this machine.
	Suggestions(ctx context.Context) []infer.Suggestion
	// Search asks the Hub.
	Search(ctx context.Context, query string, limit int) ([]infer.HubModel, error)
	// Pull downloads a model, unless that runs already; it does not wait.
	Pull(name string) (infer.Pull, error)
	// Pulls lists downloads, the newest first.
	Pulls() []infer.Pull
	// PausePull ends a download for now, CancelPull for good: what there is of it goes.
	PausePull(ctx context.Context, name string) (infer.Pull, error)
	CancelPull(ctx context.Context, name string) (infer.Pull, error)
	// WatchPulls returns a feed of what becomes of downloads, until stop is called. A slow
	// reader misses some.
	WatchPulls() (feed <-chan infer.Pull, stop func())
	// Remove deletes a model that was downloaded, or cancels its download, and says how
	// many bytes that has freed.
	Remove(ctx context.Context, name string) (freed int64, err error)
}

func (a *API) registerModels(e *echo.Echo) {
	const path = "/samovar/v1/models"
	e.GET(path, a.models)
	e.DELETE(path, a.removeModel)
	e.GET(path+"/search", a.search)
	e.GET(path+"/pulls", func(c echo.Context) error {
		return a.WriteJSON(c, http.StatusOK, map[string]any{"pulls": a.Library.Pulls()})
	})
	pull := func(route string, status int, do func(ctx context.Context, name string) (infer.Pull, error)) {
		e.POST(path+route, func(c echo.Context) error {
			name, err := a.nameOf(c)
			if err != nil {
				return err
			}
			p, err := do(c.Request().Context(), name)
			if err != nil {
				return err
			}
			return a.WriteJSON(c, status, p)
		})
	}
	pull("/pull", http.StatusAccepted, func(_ context.Context, name string) (infer.Pull, error) { return a.Library.Pull(name) })
	pull("/pulls/pause", http.StatusOK, a.Library.PausePull)
	pull("/pulls/cancel", http.StatusOK, a.Library.CancelPull)
}

// models lists what is here, and what could be.
func (a *API) models(c echo.Context) error {
	ctx := c.Request().Context()
	machine, usable := a.Library.Memory()
	return a.WriteJSON(c, http.StatusOK, map[string]any{
		"models": a.Library.Local(ctx), "suggestions": a.Library.Suggestions(ctx), "pulls": a.Library.Pulls(),
		"memory_bytes": machine, "usable_bytes": usable,
	})
}

// nameOf reads the field name of the body.
func (a *API) nameOf(c echo.Context) (string, error) {
	body, err := a.ReadBody(c)
	if err != nil {
		return "", err
	}
	f, err := jsonreq.Parse(body)
	if err != nil {
		return "", err
	}
	name := f.String("name")
	if err := f.Err(); err != nil {
		return "", err
	}
	if name == "" {
		return "", &infer.Error{Code: infer.CodeInvalid, Param: "name", Message: "name must be the model's name."}
	}
	return name, nil
}

func (a *API) removeModel(c echo.Context) error {
	name := c.QueryParam("name")
	if name == "" {
		return &infer.Error{Code: infer.CodeInvalid, Param: "name", Message: "Say which model: ?name=NAME."}
	}
	freed, err := a.Library.Remove(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return a.WriteJSON(c, http.StatusOK, map[string]any{"name": name, "deleted": true, "freed_bytes": freed})
}

const (
	searchLimit = 10
	mostSearch  = 50
)

func (a *API) search(c echo.Context) error {
	query, limit := c.QueryParam("q"), searchLimit
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostSearch {
			return &infer.Error{Code: infer.CodeInvalid, Param: "limit", Message: "limit must be a whole number from 1 to 50."}
		}
		limit = n
	}
	if query == "" {
		return &infer.Error{Code: infer.CodeInvalid, Param: "q", Message: "Say what to look for: ?q=WORDS."}
	}
	found, err := a.Library.Search(c.Request().Context(), query, limit)
	if err != nil {
		return err
	}
	return a.WriteJSON(c, http.StatusOK, map[string]any{"models": found})
}
