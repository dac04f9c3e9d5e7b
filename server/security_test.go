package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/server"
	"samovar/server/control"
)

func TestHostAndOriginMatrix(t *testing.T) {
	opts := server.Options{
		Engine: newFake(), AllowedHosts: []string{"mac.local"}, AllowedOrigins: []string{"https://app.example/"},
	}
	for _, tc := range []struct {
		host, origin, site string
		status             int
		cors               bool
	}{
		// Programs.
		{"localhost:7266", "", "", 200, false},
		{"LOCALHOST", "", "", 200, false},
		{"localhost.:7266", "", "", 200, false},
		{"127.0.0.1:9", "", "", 200, false},
		{"[::1]:7266", "", "", 200, false},
		{"[::1]", "", "", 200, false},
		{"mac.local:80", "", "", 200, false},
		// DNS rebinding and the like.
		{"evil.example:7266", "", "", 403, false},
		{"localhost.evil.example", "", "", 403, false},
		{"127.0.0.1.evil.example", "", "", 403, false},
		{"evil.example", "http://evil.example", "same-origin", 403, false},
		{"169.254.169.254", "", "", 403, false},
		{"0.0.0.0:7266", "", "", 403, false},
		// Pages.
		{"localhost:7266", "http://localhost:7266", "same-origin", 200, true},
		{"localhost:7266", "", "same-origin", 200, false},
		{"localhost:7266", "", "none", 200, false},
		{"localhost:7266", "wails://wails", "cross-site", 200, true},
		{"localhost:7266", "https://app.example", "cross-site", 200, true},
		{"localhost:7266", "https://APP.example", "", 200, true},
		{"localhost:7266", "", "cross-site", 403, false},
		{"localhost:7266", "", "same-site", 403, false},
		{"localhost:7266", "null", "", 403, false},
		{"localhost:7266", "http://localhost:3000", "same-site", 403, false},
		{"localhost:7266", "https://evil.example", "cross-site", 403, false},
		{"localhost:7266", "https://app.example.evil", "cross-site", 403, false},
		{"localhost:7266", "file://", "", 403, false},
	} {
		t.Run(fmt.Sprintf("%s %s %s", tc.host, tc.origin, tc.site), func(t *testing.T) {
			for _, path := range []string{"/v1/models", "/health/live", "/", "/nope"} {
				r := newRequest("GET", path, "")
				r.Host = tc.host
				set(r, "Origin", tc.origin)
				set(r, "Sec-Fetch-Site", tc.site)
				w := doWith(opts, r)
				want := tc.status
				if path == "/nope" && want == 200 {
					want = 404
				}
				require.Equal(t, want, w.Code, path)
				allowed := ""
				if tc.cors {
					allowed = tc.origin
				}
				require.Equal(t, allowed, w.Header().Get("Access-Control-Allow-Origin"))
				require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
			}
		})
	}
}

func set(r *http.Request, name, value string) {
	if value != "" {
		r.Header.Set(name, value)
	}
}

// noAdmin has no methods to call.
type noAdmin struct{ control.Admin }

// A foreign page that is let in may read and chat, and change nothing.
func TestOnlyTheDashboardChangesThingsFromABrowser(t *testing.T) {
	const token, wails = "THE-PAGES-OWN-TOKEN", "wails://wails"
	opts := server.Options{Engine: newFake(hello()...), Library: &fakeLibrary{}, Admin: noAdmin{}, PageToken: token}
	changes := []string{
		"PUT /samovar/v1/settings", "POST /samovar/v1/engine/stop", "POST //samovar//v1/engine/stop/", "DELETE /samovar/v1/engine/pin", "POST /samovar/v1/models/pull",
		"DELETE /samovar/v1/models?name=guide", "POST /v1/agents", "DELETE /v1/agents/a", "POST /v1/agents/a%2Fb/fork", "POST /v1/agents/a/generate",
		"POST /api/pull", "DELETE /api/delete",
	}
	ask := func(route, origin, site, sent string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(route, " ")
		r := newRequest(method, path, "")
		set(r, "Origin", origin)
		set(r, "Sec-Fetch-Site", site)
		set(r, "X-Samovar-Page", sent)
		return doWith(opts, r)
	}
	for _, route := range changes {
		for _, browser := range []struct{ origin, site string }{{wails, "cross-site"}, {"http://localhost:7266", "same-origin"}, {wails, ""}, {"", "same-origin"}, {"", "none"}} {
			for _, sent := range []string{"", "wrong", token + "x", token[1:], strings.ToLower(token)} {
				w := ask(route, browser.origin, browser.site, sent)
				require.Equal(t, http.StatusForbidden, w.Code, "%s from %v with %q", route, browser, sent)
				require.Contains(t, w.Body.String(), "Reload the page")
			}
		}
	}
	require.Contains(t, ask("POST /v1/agents", wails, "", "").Body.String(), `"message"`, "in the shape of OpenAI's errors")
	require.Contains(t, ask("DELETE /api/delete", wails, "", "").Body.String(), `{"error":"`, "in the shape of Ollama's")

	reach := "POST /samovar/v1/models/pull" // without a body it is refused for that
	require.Equal(t, http.StatusBadRequest, ask(reach, "", "", "").Code, "programs need no token")
	require.Equal(t, http.StatusBadRequest, ask(reach, wails, "cross-site", token).Code)
	require.Equal(t, http.StatusBadRequest, ask(reach, "http://localhost:7266", "same-origin", token).Code)
	require.Equal(t, http.StatusForbidden, ask(reach, "https://evil.example", "cross-site", token).Code, "other origins have no business here at all")
	require.Equal(t, http.StatusOK, ask("GET /samovar/v1/models", wails, "cross-site", "").Code, "reading is free")
	opts.PageToken = ""
	require.Equal(t, http.StatusForbidden, ask(reach, wails, "", "").Code, "without a token no browser may")
}

func TestPreflight(t *testing.T) {
	ask := func(origin string) *http.Response {
		r := newRequest("OPTIONS", chatPath, "")
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,x-stainless-os")
		r.Header.Set("Access-Control-Request-Private-Network", "true")
		return do(newFake(), r).Result()
	}
	ok := ask("wails://wails")
	require.Equal(t, http.StatusNoContent, ok.StatusCode)
	require.Equal(t, "wails://wails", ok.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, ok.Header.Get("Access-Control-Allow-Methods"), "POST")
	require.Equal(t, "authorization,x-stainless-os", ok.Header.Get("Access-Control-Allow-Headers"))
	require.Equal(t, "true", ok.Header.Get("Access-Control-Allow-Private-Network"))
	bad := ask("https://evil.example")
	require.Equal(t, http.StatusForbidden, bad.StatusCode)
	require.Empty(t, bad.Header.Get("Access-Control-Allow-Origin"))
}

// Local tools send keys that mean nothing to us, and odd content types.
func TestWhatClientsSendIsNoObstacle(t *testing.T) {
	for _, path := range []string{chatPath, messagesPath, chatPath + "/", "/v1//messages//", messagesPath + "?beta=true"} {
		r := newRequest("POST", path, body(""))
		r.Header.Set("Authorization", "Bearer dummy")
		r.Header.Set("X-Api-Key", "dummy")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Anthropic-Beta", "a,b")
		require.Equal(t, http.StatusOK, do(newFake(hello()...), r).Code, path)
	}
}
