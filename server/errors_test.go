package server_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

// Every code has its status on both surfaces, before headers and after.
func TestStatuses(t *testing.T) {
	for _, tc := range []struct {
		code              infer.Code
		chat, messages    int
		chatType, msgType string
		retry             bool
	}{
		{infer.CodeInvalid, 400, 400, "invalid_request_error", "invalid_request_error", false},
		{infer.CodeContextLength, 400, 400, "invalid_request_error", "invalid_request_error", false},
		{infer.CodeModelNotFound, 404, 404, "invalid_request_error", "not_found_error", false},
		{infer.CodeOverloaded, 429, 529, "rate_limit_error", "overloaded_error", true},
		{infer.CodeStarting, 503, 503, "server_error", "api_error", true},
		{infer.CodeStopped, 503, 503, "server_error", "api_error", false},
		{infer.CodeFailed, 503, 503, "server_error", "api_error", false},
		{infer.CodeWorkerLost, 503, 503, "server_error", "api_error", true},
		{infer.CodeEmpty, 500, 500, "server_error", "api_error", false},
		{infer.CodePoison, 500, 500, "server_error", "api_error", false},
		{infer.CodeInternal, 500, 500, "server_error", "api_error", false},
		{"brand_new", 500, 500, "server_error", "api_error", false},
	} {
		cause := &infer.Error{Code: tc.code, Message: "A public sentence.", Hint: "A hint.", RetryAfter: 1500 * time.Millisecond, Err: errors.New("secret")}
		for path, want := range map[string]struct {
			status int
			kind   string
		}{chatPath: {tc.chat, tc.chatType}, messagesPath: {tc.messages, tc.msgType}} {
			name := fmt.Sprint(tc.code, " ", path)
			e := newFake()
			e.refuse = fmt.Errorf("wrapped: %w", cause)
			w := do(e, newRequest("POST", path, body("")))
			require.Equal(t, want.status, w.Code, name)
			kind, message := errorOf(t, path, w.Body.Bytes())
			require.Equal(t, want.kind, kind, name)
			require.Equal(t, "A public sentence. A hint.", message, name)
			require.Equal(t, tc.retry, w.Header().Get("Retry-After") == "2", name)
			final := tc.code == infer.CodeFailed || tc.code == infer.CodeEmpty || tc.code == infer.CodePoison
			require.Equal(t, final, w.Header().Get("X-Should-Retry") == "false", name)
			require.NotContains(t, w.Body.String(), "secret")

			w = do(newFake(text("a"), step{err: cause}), newRequest("POST", path, body(`"stream":true`)))
			require.Equal(t, 200, w.Code, name)
			lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
			last, ok := strings.CutPrefix(lines[len(lines)-1], "data: ")
			require.True(t, ok)
			kind, message = errorOf(t, path, []byte(last))
			require.Equal(t, want.kind, kind, name)
			require.Equal(t, "A public sentence. A hint.", message, name)
		}
	}
}

func TestUnknownErrorsAreLoggedOnceAndNotTold(t *testing.T) {
	for _, e := range []*fakeEngine{
		{refuse: errors.New("secret")},
		newFake(text("a"), step{err: errors.New("secret")}),
		newFake(text("a"), step{err: fmt.Errorf("secret: %w", io.EOF)}),
	} {
		if e.opened == nil {
			e.opened = make(chan *fakeStream, 9)
		}
		var log strings.Builder
		opts := server.Options{Engine: e, Log: slog.New(slog.NewTextHandler(&log, nil))}
		w := doWith(opts, newRequest("POST", chatPath, body("")))
		require.Equal(t, 500, w.Code)
		require.NotContains(t, w.Body.String(), "secret")
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	}
}

func TestABodyThatDoesNotArrive(t *testing.T) {
	r := newRequest("POST", chatPath, body(""))
	r.Header.Set("Content-Encoding", "gzip")
	w := do(newFake(hello()...), r)
	require.Equal(t, 415, w.Code)
	_, message := errorOf(t, chatPath, w.Body.Bytes())
	require.Contains(t, message, "compressed")

	base, _ := serve(t, server.Options{Engine: newFake(hello()...), BodyTimeout: 20 * time.Millisecond})
	reading, writing := io.Pipe()
	defer writing.Close()
	go io.WriteString(writing, `{"messages":`)
	resp := postReader(t, base+messagesPath, reading)
	require.Equal(t, 408, resp.StatusCode)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	_, message = errorOf(t, messagesPath, got)
	require.Contains(t, message, "did not arrive")
}

func postReader(t *testing.T, url string, body io.Reader) *http.Response {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	require.NoError(t, err)
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}
