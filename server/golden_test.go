package server_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var created = regexp.MustCompile(`"created":1[89]\d{8}|"created":17[5-9]\d{7}`)

var random = regexp.MustCompile(`"(chatcmpl-|msg_)[0-9a-f]{24}"`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = created.ReplaceAllString(got, `"created":1`)
	got = random.ReplaceAllString(got, `"${1}1"`)
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the tests with -update to make it")
	require.Equal(t, string(want), got)
}

func TestWireFormats(t *testing.T) {
	stopped := []step{text("a"), {ev: infer.Event{Text: "b", End: &infer.End{
		Reason: infer.FinishStopString, StopString: "END", Usage: infer.Usage{PromptTokens: 3, CompletionTokens: 2},
	}}}}
	broken := []step{text("a"), {err: &infer.Error{Code: infer.CodeWorkerLost, Message: "The engine died.", Hint: "Try again."}}}
	leaky := []step{text("a"), {err: os.ErrPermission}}
	empty := []step{end(infer.FinishStop)}
	for _, tc := range []struct {
		name, path, more string
		script           []step
	}{
		{"chat_stream", chatPath, `"stream":true`, hello()},
		{"chat_stream_usage", chatPath, `"stream":true,"stream_options":{"include_usage":true}`, hello()},
		{"chat_stream_length", chatPath, `"stream":true,"model":"m"`, []step{text("a"), end(infer.FinishLength)}},
		{"chat_stream_broken", chatPath, `"stream":true`, broken},
		{"chat_stream_internal", chatPath, `"stream":true`, leaky},
		{"chat_stream_empty", chatPath, `"stream":true`, empty},
		{"chat_whole", chatPath, ``, hello()},
		{"chat_whole_context", chatPath, `"stream":false`, []step{text("a"), end(infer.FinishContext)}},
		{"chat_whole_broken", chatPath, ``, broken},
		{"messages_stream", messagesPath, `"stream":true,"max_tokens":9`, hello()},
		{"messages_stream_stop", messagesPath, `"stream":true,"model":"claude-x"`, stopped},
		{"messages_stream_length", messagesPath, `"stream":true`, []step{text("a"), end(infer.FinishLength)}},
		{"messages_stream_broken", messagesPath, `"stream":true`, broken},
		{"messages_stream_internal", messagesPath, `"stream":true`, leaky},
		{"messages_stream_empty", messagesPath, `"stream":true`, empty},
		{"messages_whole", messagesPath, ``, hello()},
		{"messages_whole_stop", messagesPath, ``, stopped},
		{"messages_whole_context", messagesPath, ``, []step{text("a"), end(infer.FinishContext)}},
		{"messages_whole_broken", messagesPath, ``, broken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := do(newFake(tc.script...), newRequest("POST", tc.path, body(tc.more)))
			golden(t, tc.name+".golden", w.Result().Status+"\n"+w.Body.String())
		})
	}
}

func TestWireFormatsOfModelsAndErrors(t *testing.T) {
	tooLong := &infer.Error{Code: infer.CodeContextLength, Message: "Too long.", PromptTokens: 5000, LimitTokens: 4096}
	busy := &infer.Error{Code: infer.CodeOverloaded, Message: "Too much is waiting.", RetryAfter: 2500 * time.Millisecond}
	for _, tc := range []struct {
		name, method, path string
		version            string
		refuse             error
	}{
		{"models_openai", "GET", "/v1/models", "", nil},
		{"models_anthropic", "GET", "/v1/models?limit=1000", "2023-06-01", nil},
		{"model_openai", "GET", "/v1/models/owner/repo:q4", "", nil},
		{"model_anthropic", "GET", "/v1/models/owner%2Frepo:q4", "2026-10-21", nil},
		{"model_unknown", "GET", "/v1/models/nope", "", nil},
		{"chat_too_long", "POST", chatPath, "", tooLong},
		{"messages_too_long", "POST", messagesPath, "", tooLong},
		{"chat_overloaded", "POST", chatPath, "", busy},
		{"messages_overloaded", "POST", messagesPath, "", busy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newFake()
			e.refuse = tc.refuse
			r := newRequest(tc.method, tc.path, body(""))
			if tc.version != "" {
				r.Header.Set("Anthropic-Version", tc.version)
			}
			w := do(e, r)
			if tc.refuse == busy {
				require.Equal(t, "3", w.Header().Get("Retry-After"))
			}
			golden(t, tc.name+".golden", w.Result().Status+"\n"+w.Body.String())
		})
	}
}

func TestHeadersOfAnswers(t *testing.T) {
	w := do(newFake(hello()...), newRequest("POST", chatPath, body("")))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "test-1", w.Header().Get("X-Request-Id"))
	require.Equal(t, "test-1", w.Header().Get("Request-Id"))
	require.Regexp(t, `^queue;dur=1.00, restore;dur=0.00, prefill;dur=20.00, first-token;dur=25.00, decode;dur=40.00, total;dur=\d+\.\d+$`, w.Header().Get("Server-Timing"))

	r := newRequest("POST", chatPath, body(`"stream":true`))
	r.Header.Set("X-Request-Id", "not sane\x00")
	w = do(newFake(hello()...), r)
	require.Equal(t, "text/event-stream; charset=utf-8", w.Header().Get("Content-Type"))
	require.Regexp(t, `^req_[0-9a-f]{24}$`, w.Header().Get("X-Request-Id"))
	require.True(t, w.Flushed)
}
