package control

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// Admin is what can be seen and changed of the program itself. Errors are *infer.Error, or
// ctx's.
type Admin interface {
	Settings() (SettingsView, error)
	// Set sets a setting in the settings file, or takes it out if value is nil, and
	// applies what can be applied at once.
	Set(ctx context.Context, name string, value *string) error
	// Logs returns the last lines, the newest first.
	Logs(limit int) []LogLine
	// WatchLogs returns a feed of new ones, until stop is called. A slow reader misses some.
	WatchLogs() (feed <-chan LogLine, stop func())
	// Doctor looks at everything that Samovar needs here, which takes seconds.
	Doctor(ctx context.Context) ([]Finding, error)
}

// SettingsView is every setting, and the file that they are changed in.
type SettingsView struct {
	File     string    `json:"file"`
	Settings []Setting `json:"settings"`
}

// Setting is one.
type Setting struct {
	Name string `json:"name"`
	// Kind is text, number or yes_no.
	Kind    string `json:"kind"`
	Value   string `json:"value"`
	Default string `json:"default"`
	// Origin is where Value is from: default, the settings file, or a flag or variable by
	// its name.
	Origin string `json:"origin"`
	// InFile is what the file says, if anything.
	InFile *string `json:"in_file,omitempty"`
	// Allowed says in words what may be set.
	Allowed string `json:"allowed"`
	// Live ones take effect at once; Pending ones of the others will after a restart.
	Live    bool `json:"live"`
	Pending bool `json:"pending"`
}

// LogLine is a line of the log.
type LogLine struct {
	At      time.Time  `json:"at"`
	Level   string     `json:"level"`
	Message string     `json:"message"`
	Fields  []LogField `json:"fields"`
}

// LogField is one of its values.
type LogField struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Finding is something that doctor has looked at.
type Finding struct {
	// Level is ok, note, warning or problem.
	Level   string `json:"level"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

const (
	logLimit = 500
	mostLogs = 5000
)

func (a *API) registerAdmin(e *echo.Echo) {
	const settings = "/samovar/v1/settings"
	e.GET(settings, a.settings)
	e.PUT(settings, func(c echo.Context) error {
		body, err := a.ReadBody(c)
		if err != nil {
			return err
		}
		var asked struct {
			Name  string
			Value *string
		}
		if err := json.Unmarshal(body, &asked); err != nil || asked.Name == "" {
			return &infer.Error{Code: infer.CodeInvalid, Param: "name", Message: `The body must be {"name": "…", "value": "…"}, with null to take a setting back.`}
		}
		if err := a.Admin.Set(c.Request().Context(), asked.Name, asked.Value); err != nil {
			return err
		}
		return a.settings(c)
	})
	e.GET("/samovar/v1/logs", func(c echo.Context) error {
		limit := logLimit
		if text := c.QueryParam("limit"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > mostLogs {
				return &infer.Error{Code: infer.CodeInvalid, Param: "limit", Message: "limit must be a whole number from 1 to 5000."}
			}
			limit = n
		}
		return a.WriteJSON(c, http.StatusOK, map[string]any{"lines": a.Admin.Logs(limit)})
	})
	e.GET("/samovar/v1/doctor", func(c echo.Context) error {
		began := time.Now()
		findings, err := a.Admin.Doctor(c.Request().Context())
		if err != nil {
			return err
		}
		return a.WriteJSON(c, http.StatusOK, map[string]any{"findings": findings, "took_ms": time.Since(began).Milliseconds()})
	})
}

func (a *API) settings(c echo.Context) error {
	view, err := a.Admin.Settings()
	if err != nil {
		return err
	}
	return a.WriteJSON(c, http.StatusOK, view)
}
