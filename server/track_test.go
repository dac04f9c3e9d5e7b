package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
)

func get(ctx context.Context, t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return resp
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(all)
}

// records asks for the recent requests.
func records(t *testing.T, base string) []map[string]any {
	t.Helper()
	var answer struct{ Requests []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(read(t, get(t.Context(), t, base+"/samovar/v1/requests"))), &answer))
	return answer.Requests
}

func TestEveryRequestIsRecorded(t *testing.T) {
	e := newFake(hello()...)
	base, _ := serve(t, server.Options{Engine: e})
	read(t, post(t.Context(), t, base+chatPath, body(`"stream":true,"user":"ann"`)))
	e.refuse = &infer.Error{Code: infer.CodeOverloaded, Shed: infer.ShedWait, Message: "Too much.", RetryAfter: 3 * time.Second}
	read(t, post(t.Context(), t, base+messagesPath, body("")))
	read(t, post(t.Context(), t, base+chatPath, "{"))
	e.refuse = &infer.Error{Code: infer.CodeInternal, Message: "Oh."}
	read(t, post(t.Context(), t, base+chatPath, body("")))

	got := records(t, base)
	require.Len(t, got, 4)
	outcomes := make([]any, 4)
	for i, r := range got {
		outcomes[i] = r["outcome"]
	}
	require.Equal(t, []any{"failed", "refused", "shed", "ok"}, outcomes)
	ok := got[3]
	require.Equal(t, "ann", ok["agent"])
	require.Equal(t, "openai", ok["surface"])
	require.EqualValues(t, 5, ok["cached_tokens"])
	require.EqualValues(t, 20, ok["prefill_ms"])
	require.EqualValues(t, 200, ok["status"])
	require.Equal(t, "wait", got[2]["shed"])
	require.EqualValues(t, 529, got[2]["status"])
	require.EqualValues(t, 400, got[1]["status"])
	for _, r := range got[:3] {
		require.NotEmpty(t, r["error"], "what the client was told")
	}

	metrics := read(t, get(t.Context(), t, base+"/metrics"))
	for _, line := range []string{
		`samovar_requests_total{model="guide",outcome="ok",status="200",surface="openai"} 1`,
		`samovar_requests_total{model="guide",outcome="shed",status="529",surface="anthropic"} 1`,
		`samovar_prompt_cached_tokens_total{model="guide",surface="openai"} 5`,
		`samovar_time_to_first_token_seconds_count{model="guide",surface="openai"} 1`,
		`samovar_engine_state{model="guide",state="ready"} 1`,
		`samovar_kv_pool_cells{model="guide",state="pinned"} 0`,
	} {
		require.Contains(t, metrics, line+"\n")
	}
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestStreamsTellTheirTimingInATrailer(t *testing.T) {
	base, _ := serve(t, server.Options{Engine: newFake(hello()...)})
	resp := post(t.Context(), t, base+chatPath, body(`"stream":true`))
	read(t, resp)
	require.Contains(t, resp.Trailer.Get("Server-Timing"), "prefill;dur=20.00")
	require.Contains(t, get(t.Context(), t, base+"/health/live").Header.Get("Server-Timing"), "total;dur=")
}

func TestEventsShowSnapshotsAndRequests(t *testing.T) {
	e := newFake(hello()...)
	e.status.Pool = infer.Pool{Cells: 100, Sequences: []infer.PoolSequence{{Seq: 3, Tokens: 7}}}
	base, stop := serve(t, server.Options{Engine: e})
	require.NotContains(t, read(t, get(t.Context(), t, base+"/health")), `"sequences"`)

	lines := bufio.NewScanner(get(t.Context(), t, base+"/samovar/v1/events").Body)
	until := func(event, part string) string {
		for seen := ""; lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				seen = name
			} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && seen == event && strings.Contains(data, part) {
				return data
			}
		}
		require.Fail(t, "the feed ends", "without %s with %s", event, part)
		return ""
	}
	until("snapshot", `"seq":3`)
	read(t, post(t.Context(), t, base+chatPath, body("")))
	until("request", `"outcome":"running"`)
	until("request", `"ttft_ms"`)
	until("request", `"outcome":"ok"`)
	until("snapshot", `"answered":1`)
	require.NoError(t, stop(), "a feed does not hold up the end")
	for lines.Scan() { // what was under way
	}
}

// Who presses Start sees at once what became of it.
func TestAChangeOfStateBringsASnapshot(t *testing.T) {
	e := newFake()
	e.moves = make(chan infer.Transition, 3)
	base, stop := serve(t, server.Options{Engine: e})
	lines := bufio.NewScanner(get(t.Context(), t, base+"/samovar/v1/events").Body)
	next := func() string {
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok && name != "log" {
				return name
			}
		}
		return "the end"
	}
	require.Equal(t, "snapshot", next())
	for range 3 { // quicker than snapshots come by themselves
		e.moves <- infer.Transition{Model: "guide", From: infer.StateReady, To: infer.StateStopped}
	}
	seen := []string{}
	for changes := 0; changes < 3 || seen[len(seen)-1] != "snapshot"; {
		name := next()
		if name == "engine" {
			changes++
		}
		seen = append(seen, name)
	}
	require.NotContains(t, strings.Join(seen, " "), "engine engine")
	require.NoError(t, stop())
}

// flushes is a client that is told each flush by itself.
type flushes struct {
	header http.Header
	got    chan string
}

func (f *flushes) Header() http.Header         { return f.header }
func (f *flushes) WriteHeader(int)             {}
func (f *flushes) Flush()                      {}
func (f *flushes) Write(p []byte) (int, error) { f.got <- string(p); return len(p), nil }

// A page that says how often it wants to be woken is not woken between.
func TestWhoSaysHowOftenGetsAllWithTheSnapshot(t *testing.T) {
	e := newFake(hello()...)
	e.moves = make(chan infer.Transition)
	h := server.New(server.Options{Engine: e}).Handler()
	ctx, cancel := context.WithCancel(t.Context())
	w, done := &flushes{header: http.Header{}, got: make(chan string, 100)}, make(chan struct{})
	go func() {
		defer close(done)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/samovar/v1/events?every_ms=60000", nil)
		h.ServeHTTP(w, r)
	}()
	require.Contains(t, <-w.got, "event: snapshot")
	ask := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1"+chatPath, strings.NewReader(body("")))
	h.ServeHTTP(httptest.NewRecorder(), ask)
	for seen := ""; !strings.Contains(seen, `"outcome":"ok"`); {
		e.moves <- infer.Transition{Model: "guide"}
		seen = <-w.got
		require.Contains(t, seen, "event: engine")
		require.Contains(t, seen, "event: snapshot", "nothing comes without one")
	}
	cancel()
	<-done
}

func TestHowOftenMustMakeSense(t *testing.T) {
	h := server.New(server.Options{Engine: newFake()}).Handler()
	for _, every := range []string{"often", "0", "-500", "99", "60001", "1e3"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/samovar/v1/events?every_ms="+every, nil))
		require.Equal(t, http.StatusBadRequest, rec.Code, every)
		require.Contains(t, rec.Body.String(), "every_ms must be a whole number of milliseconds from 100 to 60000.")
	}
}

// What the engine says of a request is found whatever its client calls it.
func TestRequestsThatRunSayWhatTheyAreAt(t *testing.T) {
	gate := make(chan struct{})
	e := newFake(append([]step{text("a"), {wait: gate}}, hello()...)...)
	e.progress = func(got []infer.Request) []infer.Progress {
		var all []infer.Progress
		for _, r := range got {
			all = append(all, infer.Progress{ID: r.ID, Phase: infer.PhaseDecode, Since: time.Now(), PromptTokens: 12, CachedTokens: 5, PrefilledTokens: 7, CompletionTokens: 9})
		}
		return all
	}
	base, _ := serve(t, server.Options{Engine: e})
	feed := bufio.NewScanner(get(t.Context(), t, base+"/samovar/v1/events").Body)
	r := newRequest("POST", chatPath, body(""))
	r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", strings.TrimPrefix(base, "http://")
	answered := make(chan *http.Response, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		answered <- resp
	}()
	<-e.opened
	var s struct {
		Running []map[string]any
		Total   int `json:"running_total"`
	}
	for feed.Scan() && (s.Total == 0 || s.Running[0]["phase"] != "decode") {
		if data, ok := strings.CutPrefix(feed.Text(), "data: "); ok && strings.Contains(data, `"running_total"`) {
			require.NoError(t, json.Unmarshal([]byte(data), &s))
		}
	}
	require.Len(t, s.Running, 1)
	running := s.Running[0]
	require.Equal(t, "test-1", running["id"])
	require.NotEmpty(t, running["phase_since"])
	require.EqualValues(t, 7, running["prefilled_tokens"])
	require.EqualValues(t, 9, running["completion_tokens"])
	require.NotContains(t, running, "wait")
	require.Equal(t, running["phase"], records(t, base)[0]["phase"])

	close(gate)
	require.NotNil(t, <-answered)
	ended := records(t, base)[0]
	require.Equal(t, "ok", ended["outcome"])
	require.NotContains(t, ended, "phase")
	require.NotContains(t, ended, "prefilled_tokens")
	require.EqualValues(t, 2, ended["completion_tokens"])
}

func TestWhoAsksAndHowLongTheyWait(t *testing.T) {
	for name, tc := range map[string]struct {
		path, fields string
		headers      map[string]string
		agent        string
		seconds      int
	}{
		"nobody":             {path: chatPath},
		"a header first":     {path: chatPath, fields: `"user":"u"`, headers: map[string]string{"X-Agent-Id": "agent 7", "X-Claude-Code-Session-Id": "s"}, agent: "agent 7"},
		"claude code":        {path: messagesPath, fields: `"metadata":{"user_id":"u"}`, headers: map[string]string{"X-Claude-Code-Session-Id": "s"}, agent: "s"},
		"cache key":          {path: chatPath, fields: `"user":"u","prompt_cache_key":"k"`, agent: "k"},
		"anthropic's user":   {path: messagesPath, fields: `"metadata":{"user_id":"u"}`, agent: "u"},
		"what is not a name": {path: chatPath, fields: `"user":7`, headers: map[string]string{"X-Agent-Id": strings.Repeat("x", 300)}},
		"patience":           {path: chatPath, headers: map[string]string{"X-Stainless-Timeout": "600"}, seconds: 600},
		"no patience":        {path: chatPath, headers: map[string]string{"X-Stainless-Timeout": "-1", "X-Request-Timeout": "NaN"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newFake(hello()...)
			r := newRequest("POST", tc.path, body(tc.fields))
			for k, v := range tc.headers {
				r.Header.Set(k, v)
			}
			do(e, r)
			got := e.requests()
			require.Len(t, got, 1)
			require.Equal(t, tc.agent, got[0].Agent)
			if tc.seconds == 0 {
				require.True(t, got[0].Deadline.IsZero())
			} else {
				require.WithinDuration(t, time.Now().Add(time.Duration(tc.seconds)*time.Second), got[0].Deadline, 30*time.Second)
			}
		})
	}
}
