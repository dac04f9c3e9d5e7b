package server

import (
	"bytes"
	"errors"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// pagePolicy lets the dashboard load its own files and ask this server, and nothing else:
// no inline script or style, nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// indexName is the page itself.
const indexName = "index.html"

// registerPage serves the dashboard's files, if there are any.
func (s *Server) registerPage(e *echo.Echo) {
	if s.opts.Page == nil {
		return
	}
	beside, err := fs.ReadDir(s.opts.Page, ".")
	if err != nil { // it was not built
		return
	}
	for _, f := range beside {
		if name := f.Name(); !f.IsDir() && name != indexName {
			e.Match([]string{http.MethodGet, http.MethodHead}, "/"+name, func(c echo.Context) error { return s.pageFile(c, name, "no-cache") })
		}
	}
	e.Match([]string{http.MethodGet, http.MethodHead}, "/assets/*", func(c echo.Context) error {
		name := path.Clean("assets/" + c.Param("*"))
		if !strings.HasPrefix(name, "assets/") {
			return echo.ErrNotFound
		}
		// Their names change with their content.
		return s.pageFile(c, name, "public, max-age=31536000, immutable")
	})
}

// tokenPlace is where the page looks for its token.
const tokenPlace = `name="samovar-token" content="`

// page serves the dashboard to a browser, with its token. Who asks for it from another
// origin that is let in, such as another program's window, gets none. It returns false if there is none, or if it is
// no browser that asks.
func (s *Server) page(c echo.Context) (served bool, err error) {
	if s.opts.Page == nil || !strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
		return false, nil
	}
	raw, err := fs.ReadFile(s.opts.Page, indexName)
	if err != nil {
		return false, nil
	}
	if c.Request().Header.Get("Origin") == "" {
		raw = bytes.Replace(raw, []byte(tokenPlace), []byte(tokenPlace+html.EscapeString(s.opts.PageToken)), 1)
	}
	s.sendFile(c, indexName, "no-store", raw)
	return true, nil
}

func (s *Server) pageFile(c echo.Context, name, cache string) error {
	raw, err := fs.ReadFile(s.opts.Page, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return echo.ErrNotFound
	} else if err != nil {
		return err
	}
	s.sendFile(c, name, cache, raw)
	return nil
}

func (s *Server) sendFile(c echo.Context, name, cache string, raw []byte) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	h.Set(echo.HeaderCacheControl, cache)
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		h.Set(echo.HeaderContentType, kind)
	}
	http.ServeContent(c.Response(), c.Request(), name, time.Time{}, io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw))))
}
