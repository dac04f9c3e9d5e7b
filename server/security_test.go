package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/server"
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
