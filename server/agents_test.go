package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

// withAgents is an engine that knows agents by name.
type withAgents struct {
	*fakeEngine
	agents map[string]*infer.Agent
	called []string
}

func newWithAgents(ids ...string) *withAgents {
	e := &withAgents{fakeEngine: newFake(hello()...), agents: map[string]*infer.Agent{}}
	for _, id := range ids {
		e.agents[id] = &infer.Agent{ID: id, Tool: "opencode", Tier: infer.TierWarm, Tokens: 100, Requests: 2, Hits: 1, Resume: 1500 * time.Microsecond,
			Saved:    infer.Saved{PromptTokens: 200, CachedTokens: 50, Time: 2 * time.Second, WrittenBytes: 1000},
			LastMiss: &infer.Miss{Reason: infer.MissChanged, Text: "It changed.", Tokens: 9, Time: 3 * time.Millisecond}}
	}
	return e
}

func (e *withAgents) one(what, id string) (infer.Agent, error) {
	e.called = append(e.called, what+" "+id)
	if a := e.agents[id]; a != nil {
		return *a, nil
	}
	return infer.Agent{}, &infer.Error{Code: infer.CodeNotFound, Param: "id", Message: "There is no agent " + id + "."}
}

func (e *withAgents) Agents(context.Context) ([]infer.Agent, error) {
	var all []infer.Agent
	for _, a := range e.agents {
		all = append(all, *a)
	}
	return all, nil
}

func (e *withAgents) Agent(_ context.Context, id string) (infer.Agent, error) {
	return e.one("get", id)
}

func (e *withAgents) CreateAgent(_ context.Context, id, tool string) (infer.Agent, error) {
	if e.agents[id] != nil {
		return infer.Agent{}, &infer.Error{Code: infer.CodeConflict, Param: "id", Message: "There is one."}
	}
	e.agents[id] = &infer.Agent{ID: id, Tool: tool, Tier: infer.TierCold}
	return e.one("create", id)
}

func (e *withAgents) ForkAgent(ctx context.Context, id, to string) (infer.Agent, error) {
	if _, err := e.one("fork", id); err != nil {
		return infer.Agent{}, err
	}
	return e.CreateAgent(ctx, to, "")
}

func (e *withAgents) PinAgent(_ context.Context, id string, pinned bool) (infer.Agent, error) {
	if a := e.agents[id]; a != nil {
		a.Pinned = pinned
	}
	return e.one("pin", id)
}

func (e *withAgents) EvictAgent(_ context.Context, id string) (infer.Agent, error) {
	return e.one("evict", id)
}

func (e *withAgents) ForgetAgent(_ context.Context, id string) (infer.Forgotten, error) {
	_, err := e.one("forget", id)
	delete(e.agents, id)
	return infer.Forgotten{ID: id, Bytes: 7}, err
}

func (e *withAgents) ExportAgent(_ context.Context, id string) (io.ReadCloser, error) {
	if _, err := e.one("export", id); err != nil {
		return nil, err
	}
	return archive{strings.NewReader("the archive of " + id)}, nil
}

func (e *withAgents) ImportAgent(_ context.Context, r io.Reader, to string) (infer.Agent, error) {
	data, err := io.ReadAll(r)
	if err != nil || string(data) != "an archive" {
		return infer.Agent{}, &infer.Error{Code: infer.CodeInvalid, Message: "This is no exported agent."}
	}
	e.agents[to] = &infer.Agent{ID: to}
	return e.one("import", to)
}

func (e *withAgents) Savings(context.Context) (infer.Savings, error) {
	day := infer.SavedDay{Day: "2026-03-01", Requests: 2, Saved: infer.Saved{PromptTokens: 200, CachedTokens: 50, Time: 2 * time.Second}}
	s := infer.Savings{Days: []infer.SavedDay{day}, Agents: []infer.AgentSaved{{ID: "one", Saved: day.Saved}}}
	s.Total.Requests, s.Total.Saved = day.Requests, day.Saved
	return s, nil
}

// archive is a file that was exported.
type archive struct{ *strings.Reader }

func (archive) Close() error { return nil }

// brokenArchive breaks off.
type brokenArchive struct{ archive }

func (b brokenArchive) WriteTo(w io.Writer) (int64, error) {
	n, err := io.CopyN(w, b.Reader, 5)
	return n, errors.Join(err, errors.New("the disk is broken"))
}

// withBrokenExports is an engine whose exports break off.
type withBrokenExports struct{ *withAgents }

func (withBrokenExports) ExportAgent(context.Context, string) (io.ReadCloser, error) {
	return brokenArchive{archive{strings.NewReader("the archive of one")}}, nil
}

// fields decodes an answer.
func fields(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m), w.Body.String())
	return m
}

func TestAgentRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		called             string
	}{
		{"GET", "/v1/agents/one", "", 200, "get one"},
		{"GET", "/v1/agents/nobody", "", 404, "get nobody"},
		{"GET", "/v1/agents/a%2Fb", "", 200, "get a/b"},
		{"GET", "/v1/agents/50%25", "", 404, "get 50%"},
		{"GET", "/v1/agents/50%2541", "", 404, "get 50%41"}, // not 50A
		{"GET", "/v1/agents/a%2F50%2541", "", 404, "get a/50%41"},
		{"GET", "/v1/agents/one/export", "", 200, "export one"},
		{"GET", "/v1/agents/nobody/export", "", 404, "export nobody"},
		{"POST", "/v1/agents", `{"id":"two"}`, 201, "create two"},
		{"POST", "/v1/agents", `{"id":"one"}`, 409, ""},
		{"POST", "/v1/agents", `{"id":""}`, 400, ""},
		{"POST", "/v1/agents", `{"id":"stats"}`, 400, ""},
		{"POST", "/v1/agents", `{"id":5}`, 400, ""},
		{"POST", "/v1/agents", `nonsense`, 400, ""},
		{"POST", "/v1/agents/one/fork", `{"id":"two"}`, 201, "create two"},
		{"POST", "/v1/agents/nobody/fork", `{"id":"two"}`, 404, "fork nobody"},
		{"POST", "/v1/agents/one/fork", `{}`, 400, ""},
		{"POST", "/v1/agents/one/pin", "", 200, "pin one"},
		{"DELETE", "/v1/agents/one/pin", "", 200, "pin one"},
		{"DELETE", "/v1/agents/one", "", 200, "forget one"},
		{"DELETE", "/v1/agents/one?evict_only=true", "", 200, "evict one"},
		{"DELETE", "/v1/agents/one?evict_only=perhaps", "", 400, ""},
		{"DELETE", "/v1/agents/nobody", "", 404, "forget nobody"},
		{"POST", "/v1/agents/import?id=new", "an archive", 201, "import new"},
		{"POST", "/v1/agents/import", "nonsense", 400, ""},
		{"POST", "/v1/agents/import?id=import", "an archive", 400, ""},
		{"POST", "/v1/agents/nobody/generate", body(""), 404, "get nobody"},
	} {
		e := newWithAgents("one", "a/b")
		w := do(e, newRequest(c.method, c.path, c.body))
		require.Equal(t, c.status, w.Code, "%s %s: %s", c.method, c.path, w.Body)
		if c.called == "" {
			require.Empty(t, e.called, "%s %s", c.method, c.path)
		} else {
			require.Contains(t, e.called, c.called, "%s %s", c.method, c.path)
		}
		if c.status >= 400 {
			problem := fields(t, w)["error"].(map[string]any)
			require.NotEmpty(t, problem["message"])
			require.NotEmpty(t, problem["type"])
		}
	}
}

func TestAnAgentAsClientsSeeIt(t *testing.T) {
	e := newWithAgents("one")
	a := fields(t, do(e, newRequest("GET", "/v1/agents/one", "")))
	require.Equal(t, "agent", a["object"])
	require.InDelta(t, .25, a["hit_rate"], 1e-9)
	require.InDelta(t, 1.5, a["resume_ms"], 1e-9)
	require.InDelta(t, 2000, a["saved_ms"], 1e-9)
	require.InDelta(t, 3, a["last_miss"].(map[string]any)["time_ms"], 1e-9)
	for _, raw := range []string{"resume_ns", "saved_ns"} {
		require.NotContains(t, a, raw)
	}
	require.True(t, fields(t, do(e, newRequest("POST", "/v1/agents/one/pin", "")))["pinned"].(bool))
	list := fields(t, do(e, newRequest("GET", "/v1/agents", "")))
	require.Equal(t, "list", list["object"])
	require.Len(t, list["data"], 1)
	require.Empty(t, fields(t, do(newWithAgents(), newRequest("GET", "/v1/agents", "")))["data"], "a list, not null")

	stats := fields(t, do(newWithAgents("one", "two"), newRequest("GET", "/v1/agents/stats", "")))
	require.EqualValues(t, 2, stats["agents"])
	require.EqualValues(t, 400, stats["prompt_tokens"])
	require.Equal(t, map[string]any{"hot": 0., "warm": 2., "cold": 0.}, stats["tiers"])

	require.Empty(t, fields(t, do(e, newRequest("GET", "/samovar/v1/savings?agents=false", "")))["agents"])
	saved := fields(t, do(e, newRequest("GET", "/samovar/v1/savings", "")))
	require.EqualValues(t, 2, saved["total"].(map[string]any)["saved_seconds"])
	require.Equal(t, "2026-03-01", saved["days"].([]any)[0].(map[string]any)["day"])
	require.Equal(t, "one", saved["agents"].([]any)[0].(map[string]any)["id"])

	w := do(e, newRequest("GET", "/v1/agents/one/export", ""))
	require.Equal(t, "the archive of one", w.Body.String())
	require.Equal(t, `attachment; filename=one.samovar-agent.tar`, w.Header().Get("Content-Disposition"))
	require.Equal(t, "18", w.Header().Get("Content-Length"))
}

// An export that breaks off must not look like a whole one.
func TestAnExportIsWholeOrAnError(t *testing.T) {
	served := httptest.NewServer(server.New(server.Options{Engine: withBrokenExports{newWithAgents("one")}}).Handler())
	defer served.Close()
	resp, err := served.Client().Get(served.URL + "/v1/agents/one/export")
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "the a", string(data))
}

// withUnreadableUploads is an engine to which uploads come in part.
type withUnreadableUploads struct{ *withAgents }

func (withUnreadableUploads) ImportAgent(context.Context, io.Reader, string) (infer.Agent, error) {
	return infer.Agent{}, fmt.Errorf("copy: %w", io.ErrUnexpectedEOF)
}

func TestAnUploadThatBreaksOffIsNoFaultOfOurs(t *testing.T) {
	w := do(withUnreadableUploads{newWithAgents()}, newRequest("POST", "/v1/agents/import", "x"))
	require.NotEqual(t, http.StatusInternalServerError, w.Code)
}

func TestGeneratingAsAnAgent(t *testing.T) {
	e := newWithAgents("one")
	w := do(e, newRequest("POST", "/v1/agents/one/generate", body("")))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "one", e.requests()[0].Agent)

	// With messages, a new agent's are evaluated at once.
	w = do(e, newRequest("POST", "/v1/agents", `{"id":"new","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hello"}]}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
	got := e.requests()[1]
	require.Equal(t, "new", got.Agent)
	require.Equal(t, 1, got.MaxTokens)
	require.Len(t, got.Messages, 2)
	w = do(e, newRequest("POST", "/v1/agents", `{"id":"other","messages":5}`))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.NotContains(t, e.agents, "other", "nothing is made of a request that is wrong")

	e.refuse = &infer.Error{Code: infer.CodeContextLength, Message: "Too long."}
	w = do(e, newRequest("POST", "/v1/agents", `{"id":"other","messages":[{"role":"user","content":"Hello"}]}`))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.NotContains(t, e.agents, "other", "nor of one that cannot be evaluated, so that it can be made again")
}
