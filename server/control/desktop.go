package control

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// Desktop is what can be seen and done of the menu bar, its window and the login. Errors
// are *infer.Error, or ctx's.
type Desktop interface {
	Desktop() DesktopView
	// Open shows a page of the dashboard in the window, or the window as it was if page is
	// empty. It does not wait for it to appear.
	Open(page string) error
	// SetLogin has Samovar started when its user logs in, or not.
	SetLogin(ctx context.Context, enabled bool) error
	// Welcomed notes that a newcomer has been welcomed.
	Welcomed() error
}

// DesktopView is how Samovar is there for its user.
type DesktopView struct {
	// MenuBar and Window say whether this one has them.
	MenuBar bool      `json:"menu_bar"`
	Window  bool      `json:"window"`
	Login   LoginView `json:"login"`
	// Welcome says that a newcomer has not been welcomed yet.
	Welcome bool `json:"welcome"`
}

// LoginView says whether Samovar is started at login.
type LoginView struct {
	Supported bool `json:"supported"`
	Enabled   bool `json:"enabled"`
	// Why it is not supported.
	Why string `json:"why,omitempty"`
}

func (a *API) registerDesktop(e *echo.Echo) {
	const path = "/samovar/v1/desktop"
	e.GET(path, a.desktop)
	e.POST(path+"/open", func(c echo.Context) error {
		body, err := a.ReadBody(c)
		if err != nil {
			return err
		}
		var asked struct{ Page *string }
		if err := json.Unmarshal(body, &asked); err != nil || asked.Page == nil {
			return &infer.Error{Code: infer.CodeInvalid, Param: "page", Message: `The body must be {"page": "/overview"}, or with "" for the page that was shown last.`}
		}
		if err := a.Desktop.Open(*asked.Page); err != nil {
			return err
		}
		return a.desktop(c)
	})
	e.PUT(path+"/login", func(c echo.Context) error {
		body, err := a.ReadBody(c)
		if err != nil {
			return err
		}
		var asked struct{ Enabled *bool }
		if err := json.Unmarshal(body, &asked); err != nil || asked.Enabled == nil {
			return &infer.Error{Code: infer.CodeInvalid, Param: "enabled", Message: `The body must be {"enabled": true} or {"enabled": false}.`}
		}
		if err := a.Desktop.SetLogin(c.Request().Context(), *asked.Enabled); err != nil {
			return err
		}
		return a.desktop(c)
	})
	e.POST(path+"/welcomed", func(c echo.Context) error {
		if err := a.Desktop.Welcomed(); err != nil {
			return err
		}
		return a.desktop(c)
	})
}

func (a *API) desktop(c echo.Context) error {
	return a.WriteJSON(c, http.StatusOK, a.Desktop.Desktop())
}
