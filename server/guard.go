package server

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// windowOrigin is that of the page in our own window.
const windowOrigin = "wails://wails"

// loopbackHosts are the names under which we are reached on this machine.
var loopbackHosts = []string{"localhost", "127.0.0.1", "::1"}

// guard keeps foreign web pages out. A page that rebinds its DNS name to us
// shows that name in Host; a page that calls us across sites shows its Origin,
// or Sec-Fetch-Site where browsers send no Origin. Programs send neither.
type guard struct {
	hosts   []string
	origins []string
}

func newGuard(hosts, origins []string) guard {
	g := guard{hosts: slices.Clone(loopbackHosts), origins: []string{windowOrigin}}
	for _, h := range hosts {
		g.hosts = append(g.hosts, hostName(h))
	}
	for _, o := range origins {
		g.origins = append(g.origins, strings.ToLower(strings.TrimRight(o, "/")))
	}
	return g
}

func (g guard) check(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !slices.Contains(g.hosts, hostName(r.Host)) {
			return refuse(http.StatusForbidden, "The host %q is not served here. Use localhost or 127.0.0.1.", shown(r.Host))
		}
		origin := r.Header.Get("Origin")
		if origin == "" {
			switch site := r.Header.Get("Sec-Fetch-Site"); site {
			case "", "none", "same-origin":
				return next(c)
			}
			return refuse(http.StatusForbidden, "Requests from other websites are refused.")
		}
		if !g.allowedOrigin(origin, r.Host) {
			return refuse(http.StatusForbidden, "Requests from the website %q are refused.", shown(origin))
		}
		allowCrossOrigin(c, origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return preflight(c)
		}
		return next(c)
	}
}

func (g guard) allowedOrigin(origin, host string) bool {
	if slices.Contains(g.origins, strings.ToLower(origin)) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, host)
}

// pageTokenHeader is where the dashboard's page sends its token.
const pageTokenHeader = "X-Samovar-Page"

// guarded begin the routes that change something for good.
var guarded = []string{"/samovar/v1/", "/v1/agents", "/api/pull", "/api/delete"}

// pageOnly keeps other pages from changing anything: all windows that are built as ours
// share its origin, and pages of other programs may come to be let in. A browser says by
// Origin or Sec-Fetch-Site that it is one. Programs need no token.
func (s *Server) pageOnly(next echo.HandlerFunc) echo.HandlerFunc {
	want := []byte(s.opts.PageToken)
	return func(c echo.Context) error {
		h := c.Request().Header
		switch c.Request().Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			return next(c)
		}
		// The route that was found, so that no spelling of a path gets around it.
		changes := slices.ContainsFunc(guarded, func(p string) bool { return strings.HasPrefix(c.Path(), p) })
		if !changes || h.Get("Origin") == "" && h.Get("Sec-Fetch-Site") == "" {
			return next(c)
		}
		if len(want) == 0 || subtle.ConstantTimeCompare([]byte(h.Get(pageTokenHeader)), want) != 1 {
			return refuse(http.StatusForbidden, "Only the dashboard may change this from a browser, and this page is none, or an old one.").hinted("Reload the page.")
		}
		return next(c)
	}
}

// exposed are the headers that a page may read.
const exposed = "X-Request-Id, Request-Id, Server-Timing, Retry-After"

func allowCrossOrigin(c echo.Context, origin string) {
	h := c.Response().Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposed)
}

// preflight answers what a browser asks before a request of an allowed origin.
func preflight(c echo.Context) error {
	in, out := c.Request().Header, c.Response().Header()
	out.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
	if headers := in.Get("Access-Control-Request-Headers"); headers != "" {
		out.Set("Access-Control-Allow-Headers", headers)
	}
	if in.Get("Access-Control-Request-Private-Network") == "true" {
		out.Set("Access-Control-Allow-Private-Network", "true")
	}
	out.Set("Access-Control-Max-Age", "600")
	return c.NoContent(http.StatusNoContent)
}

// hostName returns the name in a Host header, without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
