package eval

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// perfect answers as the facts say, and recalls what it was told.
func perfect(t *testing.T) http.HandlerFunc {
	f, answers := readFacts(t)
	byText, byAsk := map[string]string{}, map[string]string{}
	for _, q := range allQuestions() {
		byText[q.Text] = answers[q.Intent]
	}
	kinds := map[string]string{}
	for _, k := range f.Recall.Kinds {
		kinds[k.ID] = k.Answer
	}
	for _, c := range Conversations(100) {
		byAsk[c.Turns[0]+c.Turns[2]] = strings.ReplaceAll(kinds[c.Kind], "{v}", c.Value)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Messages    []message `json:"messages"`
			Temperature *float64  `json:"temperature"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Temperature == nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		last := req.Messages[len(req.Messages)-1].Content
		text, ok := byText[last]
		if !ok {
			text = "Noted."
		}
		if len(req.Messages) == 5 {
			text = byAsk[req.Messages[0].Content+last]
			if req.Messages[1] != (message{"assistant", "Noted."}) {
				text = "my own answer got lost"
			}
		}
		reply(w, text, "stop")
	}
}

func reply(w http.ResponseWriter, text, reason string) {
	_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{
		"index": 0, "finish_reason": reason, "message": message{"assistant", text},
	}}})
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", h)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRunPerfect(t *testing.T) {
	url := serve(t, perfect(t))
	for _, base := range []string{url, url + "/v1/"} {
		r, err := Run(context.Background(), base, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Questions != (Score{100, 100}) || r.Recall != (Score{100, 100}) || r.Smoke == nil || !r.Reached() {
			var b strings.Builder
			_ = r.WriteText(&b)
			t.Errorf("%s", b.String())
		}
	}
}

func TestRunHopeless(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, "Ask me about Samovar.", "stop") })
	r, err := Run(context.Background(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Questions.Passed > 3 || r.Recall.Passed > 0 || r.Reached() || r.Smoke.Failure == "" {
		t.Errorf("questions %s, recall %s", r.Questions, r.Recall)
	}
}

// The server that sheds load is asked again when it says so.
func TestRunRetries(t *testing.T) {
	ok := perfect(t)
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "full", http.StatusTooManyRequests)
			return
		}
		ok(w, r)
	})
	r, err := Run(context.Background(), url, Options{Set: Set{Questions: Heldout().Questions[:3]}, Conversations: NoConversations})
	if err != nil || r.Questions != (Score{3, 3}) || r.Recall != (Score{}) {
		t.Errorf("%v, questions %s", err, r.Questions)
	}
	if n.Load() != 4 {
		t.Errorf("%d requests, not 4", n.Load())
	}
}

func TestRunBrokenResponses(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"error":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "boom", http.StatusInternalServerError) },
		"not json":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"bad utf-8": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{\"x\":\"\xff\"}")) },
		"no choice": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"choices":[]}`)) },
	} {
		url := serve(t, h)
		set := Set{Questions: Heldout().Questions[:2]}
		r, err := Run(context.Background(), url, Options{Set: set, Conversations: 2})
		if err != nil || r.Questions != (Score{0, 2}) || r.Recall != (Score{0, 2}) {
			t.Errorf("%s: %v, %s, %s", name, err, r.Questions, r.Recall)
		}
		for _, q := range r.QuestionResults {
			if !strings.HasPrefix(q.Failure, "request failed: ") {
				t.Errorf("%s: %q", name, q.Failure)
			}
		}
	}
}

func TestRunNoServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if _, err := Run(context.Background(), s.URL, Options{}); err == nil {
		t.Error("no error")
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		reply(w, "Hello", "stop")
	})
	if _, err := Run(ctx, url, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
