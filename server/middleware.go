package server

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
)

// Keys of log records.
const (
	keyRequest = "request_id"
	keyPath    = "path"
	keyErr     = "err"
)

// identity names a request.
type identity struct {
	// unique is ours, and no other request's.
	unique string
	// public is in the answer's headers: the client's own if it sent one.
	public  string
	arrived time.Time
}

const identityKey = "identity"

// saneID is what a client may call its request.
var saneID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// identify gives each request its identity, and its answer the headers.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		var random [12]byte
		rand.Read(random[:]) // never fails
		id := identity{unique: hex.EncodeToString(random[:]), arrived: time.Now()}
		id.public = c.Request().Header.Get("X-Request-Id")
		if !saneID.MatchString(id.public) {
			id.public = "req_" + id.unique
		}
		c.Set(identityKey, id)
		h := c.Response().Header()
		h.Set("X-Request-Id", id.public)
		h.Set("Request-Id", id.public)
		h.Set("X-Content-Type-Options", "nosniff")
		// The write deadline of the connection's last answer must not hit this one.
		_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Time{})
		return next(c)
	}
}

func identityOf(c echo.Context) identity {
	id, _ := c.Get(identityKey).(identity)
	return id
}

// observe answers with the error, if there is one, and logs that a request was
// served.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		id := identityOf(c)
		s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "served",
			slog.String(keyRequest, id.unique), slog.String("client_request_id", id.public),
			slog.String("method", c.Request().Method), slog.String(keyPath, c.Path()),
			slog.Int("status", c.Response().Status), slog.Duration("took", time.Since(began)))
		return nil
	}
}

// recoverPanics turns a panic into an error; the cause is logged with it.
func (s *Server) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = &infer.Error{
				Code: infer.CodeInternal, Message: "Samovar had an internal error.",
				Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
			}
			if c.Response().Committed {
				// Too late for a status: log it and break the connection, so
				// that the answer doesn't look complete.
				s.logFailure(c, s.classify(c, err))
				panic(http.ErrAbortHandler)
			}
		}()
		return next(c)
	}
}

// tidyPath makes up for base URLs with a slash too many: "/v1/models/" and
// "//v1/models" mean "/v1/models".
func tidyPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		u.Path, u.RawPath = tidy(u.Path), tidy(u.RawPath)
		return next(c)
	}
}

func tidy(path string) string {
	if path == "" {
		return ""
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return "/" + strings.Trim(path, "/")
}
