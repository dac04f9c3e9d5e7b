package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"samovar/engine/infer"
	"samovar/server"
	"samovar/server/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noAgents is nil: tests that need it bring their own.
type (
	noAgents  = server.Agents
	noControl = control.Engine
)

// fakeEngine is a scripted Engine.
type fakeEngine struct {
	noAgents
	noControl
	// script is what each stream delivers; a step with err ends it.
	script []step
	// refuse is what Generate returns, if anything.
	refuse error
	status infer.Status
	// progress is what it says of the requests that it has got; nil says nothing.
	progress func(got []infer.Request) []infer.Progress

	mu      sync.Mutex
	got     []infer.Request
	streams []*fakeStream
	opened  chan *fakeStream // receives each stream, if set
	moves   chan infer.Transition
}

// step is one event of a script. wait, if set, is received from first.
type step struct {
	ev    infer.Event
	err   error
	wait  <-chan struct{}
	delay time.Duration
	panic string
}

func text(s string) step { return step{ev: infer.Event{Text: s, Tokens: 1}} }

func end(reason infer.FinishReason) step {
	return step{ev: infer.Event{End: &infer.End{
		Reason: reason,
		Usage:  infer.Usage{PromptTokens: 12, CachedTokens: 5, CompletionTokens: 2},
		Anatomy: infer.Anatomy{
			Queue: time.Millisecond, Prefill: 20 * time.Millisecond, TTFT: 25 * time.Millisecond, Decode: 40 * time.Millisecond,
		},
	}}}
}

func hello() []step { return []step{text("Hel"), {}, text("lo <b>"), end(infer.FinishStop)} }

func newFake(script ...step) *fakeEngine {
	return &fakeEngine{script: script, opened: make(chan *fakeStream, 1000), status: infer.Status{
		State: infer.StateReady, Progress: 1, LoadTime: time.Second, Model: infer.Model{ID: "guide"},
	}}
}

func (e *fakeEngine) Generate(ctx context.Context, req infer.Request) (infer.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.refuse != nil {
		return nil, e.refuse
	}
	st := &fakeStream{script: e.script, ctx: ctx, closed: make(chan struct{})}
	e.mu.Lock()
	e.got, e.streams = append(e.got, req), append(e.streams, st)
	e.mu.Unlock()
	e.opened <- st
	return st, nil
}

func (e *fakeEngine) requests() []infer.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]infer.Request(nil), e.got...)
}

func (e *fakeEngine) Status() infer.Status { return e.status }

func (e *fakeEngine) Overview() infer.Overview {
	return infer.Overview{Status: e.status, Models: []infer.Status{e.status}}
}

func (e *fakeEngine) Progress() []infer.Progress {
	if e.progress == nil {
		return nil
	}
	return e.progress(e.requests())
}

func (e *fakeEngine) Transitions() (<-chan infer.Transition, func()) { return e.moves, func() {} }

func (e *fakeEngine) Models() []infer.Model {
	return []infer.Model{
		{ID: "guide", Name: "Samovar Guide", Created: time.Unix(1_700_000_000, 0), ContextTokens: 4096},
		{ID: "owner/repo:q4", Created: time.Unix(1_700_000_001, 0)},
	}
}

type fakeStream struct {
	script []step
	ctx    context.Context // Generate's
	closed chan struct{}
	once   sync.Once
	at     int
	due    time.Time // when the step at has waited long enough
}

func (s *fakeStream) Accepted() infer.Usage { return infer.Usage{PromptTokens: 12, CachedTokens: 5} }

func (s *fakeStream) Next(ctx context.Context) (infer.Event, error) {
	if s.at >= len(s.script) {
		return infer.Event{}, io.EOF
	}
	st := s.script[s.at]
	if st.panic != "" {
		panic(st.panic)
	}
	// A step that a call did not wait for to its end goes on in the next one.
	if s.due.IsZero() {
		s.due = time.Now().Add(st.delay)
	}
	var after <-chan time.Time
	if left := time.Until(s.due); left > 0 {
		after = time.After(left)
	}
	for st.wait != nil || after != nil {
		select {
		case <-st.wait:
			st.wait = nil
		case <-after:
			after = nil
		case <-ctx.Done():
			return infer.Event{}, ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return infer.Event{}, err
	}
	s.at, s.due = s.at+1, time.Time{}
	return st.ev, st.err
}

func (s *fakeStream) Close() { s.once.Do(func() { close(s.closed) }) }

const (
	chatPath     = "/v1/chat/completions"
	messagesPath = "/v1/messages"
)

// body returns a small valid request with more fields, if any.
func body(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"messages":[{"role":"user","content":"Hello"}]` + more + `}`
}

// newRequest returns a request as a local tool would send it.
func newRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:7266"+path, strings.NewReader(body))
	r.Header.Set("X-Request-Id", "test-1")
	return r
}

// do serves one request without a socket.
func do(e server.Engine, r *http.Request) *httptest.ResponseRecorder {
	return doWith(server.Options{Engine: e, Version: "1.2.3"}, r)
}

func doWith(o server.Options, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	server.New(o).Handler().ServeHTTP(w, r)
	return w
}
