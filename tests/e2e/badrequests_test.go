package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func itoa(n int) string { return strconv.Itoa(n) }

const hello = `"messages":[{"role":"user","content":"Hello"}]`

// badBodies are refused with 400 on both surfaces. The error names what is
// wrong (the second column).
var badBodies = []struct{ name, body, want string }{
	{"empty", ``, "empty"},
	{"spaces", "  \n ", "empty"},
	{"no json", `hello`, "not valid JSON"},
	{"cut off", `{"messages":[{"role":"us`, "JSON"},
	{"trailing comma", `{` + hello + `,}`, "JSON"},
	{"two values", `{` + hello + `}{}`, "after"},
	{"array", `[]`, "object"},
	{"string", `"hi"`, "object"},
	{"null", `null`, "object"},
	{"bad utf-8", "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}", "UTF-8"},
	{"too deep", strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200), "deep"},
	{"deep arrays", `{"messages":` + strings.Repeat(`[`, 5000), "deep"},
	{"no messages", `{}`, "messages"},
	{"null messages", `{"messages":null}`, "messages"},
	{"empty messages", `{"messages":[]}`, "messages"},
	{"messages a string", `{"messages":"Hello"}`, "messages"},
	{"message a string", `{"messages":["Hello"]}`, "messages[0]"},
	{"message null", `{"messages":[null]}`, "messages[0]"},
	{"no role", `{"messages":[{"content":"Hello"}]}`, "role"},
	{"unknown role", `{"messages":[{"role":"wizard","content":"Hello"}]}`, "wizard"},
	{"role a number", `{"messages":[{"role":1,"content":"Hello"}]}`, "role"},
	{"no content", `{"messages":[{"role":"user"}]}`, "content"},
	{"content a number", `{"messages":[{"role":"user","content":42}]}`, "content"},
	{"content part unknown", `{"messages":[{"role":"user","content":[{"type":"hologram"}]}]}`, "hologram"},
	{"content part no text", `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, "text"},
	{"NUL in text", `{"messages":[{"role":"user","content":"a\u0000b"}]}`, "NUL"},
	{"temperature a string", `{` + hello + `,"temperature":"hot"}`, "temperature"},
	{"temperature low", `{` + hello + `,"temperature":-0.1}`, "temperature"},
	{"temperature high", `{` + hello + `,"temperature":99}`, "temperature"},
	{"temperature huge", `{` + hello + `,"temperature":1e999}`, "temperature"},
	{"top_p", `{` + hello + `,"top_p":1.5}`, "top_p"},
	{"top_k", `{` + hello + `,"top_k":"all"}`, "top_k"},
	{"top_k half", `{` + hello + `,"top_k":1.5}`, "top_k"},
	{"seed", `{` + hello + `,"seed":"lucky"}`, "seed"},
	{"max_tokens 0", `{` + hello + `,"max_tokens":0}`, "max_tokens"},
	{"max_tokens negative", `{` + hello + `,"max_tokens":-5}`, "max_tokens"},
	{"max_tokens half", `{` + hello + `,"max_tokens":1.5}`, "max_tokens"},
	{"stream a string", `{` + hello + `,"stream":"yes"}`, "stream"},
	{"model a number", `{` + hello + `,"model":7}`, "model"},
	{"model with control character", `{` + hello + `,"model":"a\nb"}`, "model"},
	{"tools", `{` + hello + `,"tools":[{"type":"function","name":"f","function":{"name":"f"},"input_schema":{}}]}`, "tool"},
}

// badOn are refused on one surface.
var badOn = map[string][]struct{ name, body, want string }{
	"openai": {
		{"stop a number", `{` + hello + `,"stop":3}`, "stop"},
		{"stop empty", `{` + hello + `,"stop":[""]}`, "stop"},
		{"too many stops", `{` + hello + `,"stop":[` + strings.Repeat(`"a",`, 40) + `"b"]}`, "stop"},
		{"n", `{` + hello + `,"n":3}`, "n"},
		{"logprobs", `{` + hello + `,"logprobs":true}`, "logprobs"},
		{"response_format", `{` + hello + `,"response_format":{"type":"json_object"}}`, "response_format"},
		{"presence_penalty", `{` + hello + `,"presence_penalty":5}`, "presence_penalty"},
		{"stream_options", `{` + hello + `,"stream_options":7}`, "stream_options"},
	},
	"anthropic": {
		{"stop_sequences a string number", `{` + hello + `,"stop_sequences":[1]}`, "stop_sequences"},
		{"system a number", `{` + hello + `,"system":5}`, "system"},
		{"image", `{"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}`, "image"},
		{"thinking", `{` + hello + `,"thinking":{"type":"deep"}}`, "thinking"},
	},
}

func TestBadRequests(t *testing.T) {
	in := guideInstance(t)
	before := in.health()
	onBoth(t, func(t *testing.T, s surface) {
		for _, c := range append(append([]struct{ name, body, want string }{}, badBodies...), badOn[s.name]...) {
			t.Run(c.name, func(t *testing.T) {
				r := in.post(s.path, c.body)
				require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
				require.Equal(t, "application/json", r.header.Get("Content-Type"))
				require.Contains(t, s.failure(t, r.body), c.want)
			})
		}
		t.Run("unknown model", func(t *testing.T) {
			r := in.post(s.path, `{"model":"gpt-9",`+hello+`}`)
			require.Equal(t, http.StatusNotFound, r.status)
			require.Contains(t, s.failure(t, r.body), "gpt-9")
		})
		t.Run("too large", func(t *testing.T) {
			r := in.post(s.path, `{"messages":[{"role":"user","content":"`+strings.Repeat("x", 33<<20)+`"}]}`)
			require.Equal(t, http.StatusRequestEntityTooLarge, r.status, "%s", r.body)
			require.NotEmpty(t, s.failure(t, r.body))
		})
		t.Run("compressed", func(t *testing.T) {
			refused(t, in, s, http.MethodPost, s.path, http.StatusUnsupportedMediaType, map[string]string{"Content-Encoding": "gzip"})
		})
		t.Run("method", func(t *testing.T) {
			refused(t, in, s, http.MethodGet, s.path, http.StatusMethodNotAllowed, nil)
			refused(t, in, s, http.MethodDelete, s.path, http.StatusMethodNotAllowed, nil)
		})
		t.Run("foreign host", func(t *testing.T) {
			refused(t, in, s, http.MethodPost, s.path, http.StatusForbidden, map[string]string{"Host": "evil.example"})
		})
		t.Run("foreign origin", func(t *testing.T) {
			refused(t, in, s, http.MethodPost, s.path, http.StatusForbidden, map[string]string{"Origin": "https://evil.example"})
			refused(t, in, s, http.MethodPost, s.path, http.StatusForbidden, map[string]string{"Sec-Fetch-Site": "cross-site"})
		})
	})
	t.Run("unknown route", func(t *testing.T) {
		for _, path := range []string{"/v2/chat/completions", "/chat/completions", "/v1", "/favicon.ico"} {
			refused(t, in, surfaces[0], http.MethodGet, path, http.StatusNotFound, nil)
		}
	})
	after := in.health()
	require.Equal(t, before.WorkerPID, after.WorkerPID)
	require.Zero(t, after.Restarts+after.Active+after.Queued)
	require.NotEmpty(t, surfaces[0].ask(t, in, question("Hello", nil)).text, "it still answers")
}

func refused(t *testing.T, in *instance, s surface, method, path string, status int, header map[string]string) {
	t.Helper()
	req, err := http.NewRequest(method, in.base+path, strings.NewReader(fmt.Sprintf("{%s}", hello)))
	require.NoError(t, err)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if host := header["Host"]; host != "" {
		req.Host = host
	}
	r := in.do(req)
	require.Equal(t, status, r.status, "%s", r.body)
	require.NotEmpty(t, s.failure(t, r.body))
}
