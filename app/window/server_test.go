package window

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"samovar/app/instance"
)

// stagedServer is a Server with an API behind it, and what the page asked of it.
type stagedServer struct {
	Server
	t      *testing.T
	api    *httptest.Server
	begun  int
	opened []string
	copied []string
	signs  []Sign
	fails  error
}

func newStagedServer(t *testing.T, api http.Handler) *stagedServer {
	t.Helper()
	dir := t.TempDir()
	index, err := os.ReadFile("../../frontend/index.html") // the places to fill in are the real ones
	require.NoError(t, err)
	s := &stagedServer{t: t}
	s.Server = Server{
		Files:  fstest.MapFS{indexName: {Data: index}},
		Record: filepath.Join(dir, "state", "instance.json"), Otherwise: "http://127.0.0.1:1",
		Page:   func() string { return "/logs" },
		Start:  func(context.Context) error { s.begun++; return s.fails },
		Browse: func(u string) error { s.opened = append(s.opened, u); return s.fails },
		Copy:   func(text string) error { s.copied = append(s.copied, text); return s.fails },
		Alive:  func(sign Sign) { s.signs = append(s.signs, sign) },

		Downloads: filepath.Join(dir, "Downloads"), Log: slog.New(slog.DiscardHandler),
	}
	if api != nil {
		s.api = httptest.NewServer(api)
		t.Cleanup(s.api.Close)
		s.record("to$en1\"<")
	}
	return s
}

func (s *stagedServer) record(token string) {
	addr := strings.TrimPrefix(s.api.URL, "http://")
	require.NoError(s.t, instance.Write(s.Record, instance.Record{PID: 1, Addr: addr, Token: token}))
}

func (s *stagedServer) ask(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "file "+r.URL.Path) })
	s.Middleware(files).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestThePageIsToldWhereTheServerIs(t *testing.T) {
	s := newStagedServer(t, http.NotFoundHandler())
	for _, path := range []string{"/", "/index.html"} {
		w := s.ask("GET", path, "")
		require.Equal(t, 200, w.Code)
		require.Contains(t, w.Body.String(), `<meta name="samovar-base" content="`+s.api.URL+`" />`)
		require.Contains(t, w.Body.String(), `<meta name="samovar-token" content="to$en1&#34;&lt;" />`)
		require.Contains(t, w.Body.String(), `<meta name="samovar-window" content="/logs" />`)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "connect-src 'self' "+s.api.URL+"; ")
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "script-src 'self'; ")
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Contains(t, w.Header().Get("Content-Type"), "text/html")
	}
	require.Equal(t, "file /assets/a.js", s.ask("GET", "/assets/a.js", "").Body.String())
	s.Files = fstest.MapFS{}
	require.Equal(t, 404, s.ask("GET", "/", "").Code)
}

func TestThePageIsToldWhereTheServerWouldBe(t *testing.T) {
	s := newStagedServer(t, nil)
	require.Contains(t, s.ask("GET", "/", "").Body.String(), `<meta name="samovar-base" content="http://127.0.0.1:1" />`)
	require.JSONEq(t, `{"base":"http://127.0.0.1:1","token":"","live":false}`, s.ask("GET", "/window/instance", "").Body.String())
	require.NoError(t, os.MkdirAll(filepath.Dir(s.Record), 0o700))
	require.NoError(t, os.WriteFile(s.Record, []byte("damaged"), 0o600))
	require.JSONEq(t, `{"base":"http://127.0.0.1:1","token":"","live":false}`, s.ask("GET", "/window/instance", "").Body.String())
}

func TestTheServerIsFoundWhereItIs(t *testing.T) {
	status := 200
	s := newStagedServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/health/live", r.URL.Path)
		w.WriteHeader(status)
	}))
	s.record("secret")
	get := func() (at where) {
		require.NoError(t, json.Unmarshal(s.ask("GET", "/window/instance", "").Body.Bytes(), &at))
		return at
	}
	require.Equal(t, where{s.api.URL, "secret", true}, get())
	status = 500
	require.Equal(t, where{s.api.URL, "secret", false}, get())
	s.api.Close()
	require.Equal(t, where{s.api.URL, "secret", false}, get(), "the record of one that is gone")
}

func TestBase(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:7266": "http://127.0.0.1:7266", "localhost:1": "http://localhost:1", "[::1]:1": "http://[::1]:1",
		"0.0.0.0:5": "http://127.0.0.1:5", "[::]:5": "http://127.0.0.1:5", ":5": "http://127.0.0.1:5", "odd": "http://odd",
	} {
		require.Equal(t, want, Base(addr))
	}
}

func TestAPolicyNamesOneServer(t *testing.T) {
	require.Contains(t, policy("http://[::1]:5"), "connect-src 'self' http://[::1]:5; ")
	for _, base := range []string{"", "nonsense", "http://a;script-src *", "http://a b", "http://"} {
		require.Contains(t, policy(base), "connect-src 'self'; ", base)
	}
}

func TestTheWindowIsAskedToStartTheServer(t *testing.T) {
	s := newStagedServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := s.ask("POST", "/window/start", "")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"live":true`)
	require.Equal(t, 1, s.begun)
	s.fails = errors.New("no room")
	w = s.ask("POST", "/window/start", "")
	require.Equal(t, 500, w.Code)
	require.JSONEq(t, `{"error":{"message":"no room"}}`, w.Body.String())
}

func TestOnlyTheWebIsOpenedInTheBrowser(t *testing.T) {
	s := newStagedServer(t, nil)
	for _, u := range []string{"https://example.com/a?b#c", "http://127.0.0.1:1/"} {
		require.Equal(t, 200, s.ask("POST", "/window/open", `{"url":"`+u+`"}`).Code, u)
	}
	require.Equal(t, []string{"https://example.com/a?b#c", "http://127.0.0.1:1/"}, s.opened)
	for _, u := range []string{"", "file:///etc/passwd", "javascript:alert(1)", "https:", "https://", "/etc/passwd", "samovar://x", "--help", "https://a@b/", "http://a\x01"} {
		w := s.ask("POST", "/window/open", `{"url":"`+u+`"}`)
		require.Equal(t, 400, w.Code, u)
	}
	require.Equal(t, 400, s.ask("POST", "/window/open", `{`).Code)
	require.Len(t, s.opened, 2)
}

func TestThePageSpeaksToTheWindow(t *testing.T) {
	s := newStagedServer(t, nil)
	require.Equal(t, 200, s.ask("POST", "/window/copy", `{"text":"tea"}`).Code)
	require.Equal(t, []string{"tea"}, s.copied)
	require.Equal(t, 200, s.ask("POST", "/window/alive", `{"page":"/agents/one","title":"Agents – Samovar","server":"live","dark":true}`).Code)
	require.Equal(t, 200, s.ask("POST", "/window/alive", `{"page":"/nowhere"}`).Code)
	require.Equal(t, []Sign{{Page: "/agents/one", Title: "Agents – Samovar", Server: "live", Dark: true}, {}}, s.signs)
}

func TestAgentsAreSavedAsFiles(t *testing.T) {
	s := newStagedServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/v1/agents/a%2Fb/export":
			_, _ = io.WriteString(w, "tar")
		case "/v1/agents/broken/export":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "ta")
		case "/v1/agents/short/export":
			w.WriteHeader(409)
			_, _ = io.WriteString(w, `{"error":{"message":"Nothing is kept of it."}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	save := func(path string) (int, string) {
		w := s.ask("POST", "/window/save", `{"path":"`+path+`"}`)
		var got saved
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		return w.Code, got.File
	}
	for _, name := range []string{"a_b.samovar-agent.tar", "a_b (2).samovar-agent.tar"} {
		code, file := save("/v1/agents/a%2Fb/export")
		require.Equal(t, 200, code)
		require.Equal(t, filepath.Join(s.Downloads, name), file)
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "tar", string(raw))
	}
	require.Contains(t, s.ask("POST", "/window/save", `{"path":"/v1/agents/short/export"}`).Body.String(), "Nothing is kept of it.")
	for path, want := range map[string]int{
		"/v1/agents/none/export": 500, "/v1/agents/broken/export": 500,
		"/v1/agents": 400, "/v1/agents/a/b/export": 400, "/v1/agents/a?x=/export": 400, "/v1/agents/%zz/export": 400, "/samovar/v1/settings": 400, "": 400,
	} {
		code, _ := save(path)
		require.Equal(t, want, code, path)
	}
	there, err := os.ReadDir(s.Downloads)
	require.NoError(t, err)
	require.Len(t, there, 2, "nothing half is left")
}

func TestFileName(t *testing.T) {
	for id, want := range map[string]string{
		"one": "one", "a/b:c": "a_b_c", "..": "agent", "": "agent", ".hidden": "hidden", "a\x00b\n": "a_b_",
		strings.Repeat("é", 80): strings.Repeat("é", 50),
	} {
		require.Equal(t, want, fileName(id))
	}
}
