package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

// fakeLibrary has one model, and downloads what it is told to in steps.
type fakeLibrary struct {
	mu      sync.Mutex
	now     infer.Pull
	feed    chan infer.Pull
	removed []string
}

func newLibrary() *fakeLibrary { return &fakeLibrary{feed: make(chan infer.Pull, 16)} }

func (l *fakeLibrary) Local(context.Context) []infer.LocalModel {
	return []infer.LocalModel{
		{Name: "owner/repo:Q4_K_M", Aliases: []string{"small"}, Origin: "samovar", Path: "/m.gguf", Bytes: 1000, SHA256: "ab", Fits: true,
			Modified: time.Unix(1_700_000_000, 0).UTC(),
			Facts:    &infer.ModelFacts{Title: "Small", Architecture: "llama", Parameters: 494_032_768, Quantisation: "Q4_K_M", ContextTokens: 4096, Tools: true}},
		{Name: "broken", Origin: "file", Problem: "It is no GGUF."},
	}
}

func (l *fakeLibrary) Memory() (machine, usable int64) { return 30, 20 }

func (l *fakeLibrary) Suggestions(context.Context) []infer.Suggestion {
	return []infer.Suggestion{{Name: "big", Fits: true, Recommended: true}}
}

func (l *fakeLibrary) Search(_ context.Context, query string, limit int) ([]infer.HubModel, error) {
	return []infer.HubModel{{Repo: query, Downloads: limit}}, nil
}

func (l *fakeLibrary) Pull(name string) (infer.Pull, error) {
	if name == "nonsense" {
		return infer.Pull{}, &infer.Error{Code: infer.CodeInvalid, Message: "That is no name."}
	}
	return l.step(infer.Pull{Name: name, State: infer.PullStarting}), nil
}

// step has the download be so far.
func (l *fakeLibrary) step(p infer.Pull) infer.Pull {
	l.mu.Lock()
	l.now = p
	l.mu.Unlock()
	l.feed <- p
	return p
}

func (l *fakeLibrary) Pulls() []infer.Pull {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []infer.Pull{l.now}
}

func (l *fakeLibrary) PausePull(_ context.Context, name string) (infer.Pull, error) {
	return l.step(infer.Pull{Name: name, State: infer.PullPaused}), nil
}

func (l *fakeLibrary) CancelPull(_ context.Context, name string) (infer.Pull, error) {
	return l.step(infer.Pull{Name: name, State: infer.PullCancelled}), nil
}

func (l *fakeLibrary) WatchPulls() (<-chan infer.Pull, func()) { return l.feed, func() {} }

func (l *fakeLibrary) Remove(_ context.Context, name string) (int64, error) {
	if name == "none" {
		return 0, &infer.Error{Code: infer.CodeModelNotFound, Message: "There is no such model."}
	}
	l.removed = append(l.removed, name)
	return 1000, nil
}

// askLibrary serves one request with a library.
func askLibrary(l *fakeLibrary, method, path, body string) *httptest.ResponseRecorder {
	return doWith(server.Options{Engine: newFake(), Library: l, Version: "1.2.3"}, newRequest(method, path, body))
}

func TestModelsRoutes(t *testing.T) {
	l := newLibrary()
	w := askLibrary(l, "GET", "/samovar/v1/models", "")
	require.Equal(t, 200, w.Code)
	var all struct {
		Models      []infer.LocalModel
		Suggestions []infer.Suggestion
		Memory      int64 `json:"memory_bytes"`
		Usable      int64 `json:"usable_bytes"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &all))
	require.Len(t, all.Models, 2)
	require.True(t, all.Suggestions[0].Recommended)
	require.Equal(t, []int64{30, 20}, []int64{all.Memory, all.Usable})

	w = askLibrary(l, "POST", "/samovar/v1/models/pull", `{"name":"owner/repo"}`)
	require.Equal(t, 202, w.Code)
	require.Contains(t, w.Body.String(), `"state":"starting"`)
	w = askLibrary(l, "GET", "/samovar/v1/models/pulls", "")
	require.Contains(t, w.Body.String(), `"owner/repo"`)
	for route, state := range map[string]string{"pause": "paused", "cancel": "cancelled"} {
		w = askLibrary(l, "POST", "/samovar/v1/models/pulls/"+route, `{"name":"owner/repo"}`)
		require.Contains(t, w.Body.String(), state)
	}
	for _, body := range []string{`{}`, `{"name":3}`, `nonsense`, `{"name":"nonsense"}`} {
		require.Equal(t, 400, askLibrary(l, "POST", "/samovar/v1/models/pull", body).Code, body)
	}

	require.Contains(t, askLibrary(l, "GET", "/samovar/v1/models/search?q=tea&limit=3", "").Body.String(), `"downloads":3`)
	require.Equal(t, 400, askLibrary(l, "GET", "/samovar/v1/models/search", "").Code)
	require.Equal(t, 400, askLibrary(l, "GET", "/samovar/v1/models/search?q=tea&limit=1000", "").Code)

	w = askLibrary(l, "DELETE", "/samovar/v1/models?name=owner/repo:Q4_K_M", "")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"freed_bytes":1000`)
	require.Equal(t, []string{"owner/repo:Q4_K_M"}, l.removed)
	require.Equal(t, 404, askLibrary(l, "DELETE", "/samovar/v1/models?name=none", "").Code)
	require.Equal(t, 400, askLibrary(l, "DELETE", "/samovar/v1/models", "").Code)

	require.Equal(t, 404, do(newFake(), newRequest("GET", "/samovar/v1/models", "")).Code, "without a library")
}

func TestOllamaRoutes(t *testing.T) {
	l := newLibrary()
	require.JSONEq(t, `{"version":"1.2.3"}`, askLibrary(l, "GET", "/api/version", "").Body.String())
	require.JSONEq(t, `{"models":[
		{"name":"owner/repo:Q4_K_M","model":"owner/repo:Q4_K_M","modified_at":"2023-11-14T22:13:20Z","size":1000,"digest":"ab",
		 "details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"494.03M","quantization_level":"Q4_K_M"}},
		{"name":"small:latest","model":"small:latest","modified_at":"2023-11-14T22:13:20Z","size":1000,"digest":"ab",
		 "details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"494.03M","quantization_level":"Q4_K_M"}}
	]}`, askLibrary(l, "GET", "/api/tags", "").Body.String())

	w := askLibrary(l, "POST", "/api/show", `{"model":"small","options":null}`)
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"capabilities":["completion","tools"]`)
	require.Contains(t, w.Body.String(), `"llama.context_length":4096`)
	w = askLibrary(l, "POST", "/api/show", `{"name":"none"}`)
	require.Equal(t, 404, w.Code)
	require.Contains(t, w.Body.String(), `{"error":"The model none is not here.`)

	w = askLibrary(l, "GET", "/api/ps", "")
	require.Contains(t, w.Body.String(), `"name":"guide:latest"`)
	require.Equal(t, 200, askLibrary(l, "DELETE", "/api/delete", `{"model":"small"}`).Code)
	require.Equal(t, []string{"small"}, l.removed)
	require.Equal(t, 400, askLibrary(l, "DELETE", "/api/delete", `{}`).Code)
}

func TestOllamaPullTellsHowFarItIs(t *testing.T) {
	l := newLibrary()
	api := httptest.NewServer(server.New(server.Options{Engine: newFake(), Library: l}).Handler())
	defer api.Close()
	resp, err := http.Post(api.URL+"/api/pull", "application/json", strings.NewReader(`{"model":"m"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "application/x-ndjson", resp.Header.Get("Content-Type"))
	lines := bufio.NewScanner(resp.Body)
	next := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("no line has %s", want)
	}
	next(`"status":"pulling manifest"`)
	l.step(infer.Pull{Name: "m", Model: "owner/m", State: infer.PullRunning, Done: 5, Total: 10})
	next(`"total":10,"completed":5`)
	l.step(infer.Pull{Name: "m", State: infer.PullVerifying})
	next("verifying")
	l.step(infer.Pull{Name: "m", State: infer.PullDone})
	next("success")
	require.False(t, lines.Scan())

	go func() {
		for l.Pulls()[0].State != infer.PullStarting {
			runtime.Gosched()
		}
		l.step(infer.Pull{Name: "m", State: infer.PullFailed, Error: "The disk is full.", Hint: "Make room."})
	}()
	resp, err = http.Post(api.URL+"/api/pull", "application/json", strings.NewReader(`{"name":"m","stream":false}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 500, resp.StatusCode)
	var failed struct{ Error string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&failed))
	require.Equal(t, "The disk is full. Make room.", failed.Error)
}
