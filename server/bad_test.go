package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/server"
)

// badBodies are refused alike by both surfaces. want is part of the message.
var badBodies = []struct{ name, body, want string }{
	{"empty", ``, "empty"},
	{"blank", " \n\t", "empty"},
	{"not JSON", `hello`, "line 1, column 1"},
	{"form", `messages=hello`, "not valid JSON"},
	{"cut off", `{"messages":[{"role":"user"`, "ends in the middle"},
	{"trailing comma", "{\n\"messages\":[],}", "line 2"},
	{"single quotes", `{'messages':[]}`, "not valid JSON"},
	{"two values", body("") + `{}`, "goes on"},
	{"raw NUL", "{\"messages\":\x00}", "not valid JSON"},
	{"NUL in text", `{"messages":[{"role":"user","content":"a\u0000b"}]}`, "messages[0].content contains a NUL"},
	{"not UTF-8", "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", "UTF-8 at byte 39"},
	{"UTF-16", "\xff\xfe{\x00}\x00", "UTF-8"},
	{"array", `[]`, "must be a JSON object, but is an array"},
	{"string", `"hi"`, "but is a string"},
	{"null", `null`, "but is null"},
	{"too deep", strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "deeper than 128"},
	{"too many values", `{"x":[` + strings.Repeat("1,", 1<<20) + `1]}`, "more than 1048576"},
	{"no messages", `{}`, "messages"},
	{"null messages", `{"messages":null}`, "messages"},
	{"empty messages", `{"messages":[]}`, "messages is empty"},
	{"messages a string", `{"messages":"hi"}`, "messages must be an array, but is a string"},
	{"message a string", `{"messages":["hi"]}`, "messages[0] must be an object, but is a string"},
	{"message null", `{"messages":[null]}`, "messages[0]"},
	{"no role", `{"messages":[{"content":"hi"}]}`, "messages[0].role"},
	{"role a number", `{"messages":[{"role":1,"content":"hi"}]}`, "messages[0].role must be a string, but is a number"},
	{"unknown role", `{"messages":[{"role":"robot","content":"hi"}]}`, `"robot"`},
	{"no content", `{"messages":[{"role":"user"}]}`, "messages[0].content is missing"},
	{"null content", `{"messages":[{"role":"user","content":null}]}`, "messages[0].content is missing"},
	{"content a number", `{"messages":[{"role":"user","content":7}]}`, "messages[0].content must be a string or an array"},
	{"content an object", `{"messages":[{"role":"user","content":{}}]}`, "but is an object"},
	{"part a string", `{"messages":[{"role":"user","content":["hi"]}]}`, "messages[0].content[0] must be an object"},
	{"part without type", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, "messages[0].content[0].type is missing"},
	{"part without text", `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text is missing"},
	{"unknown part", `{"messages":[{"role":"user","content":[{"type":"smell"}]}]}`, `"smell"`},
	{"only system", `{"messages":[{"role":"system","content":"hi"}]}`, "only system messages"},
	{"model a number", body(`"model":5`), "model must be a string, but is a number"},
	{"model too long", body(`"model":"` + strings.Repeat("m", 600) + `"`), "model must be at most 512 bytes"},
	{"model with newline", body(`"model":"a\nb"`), "control characters"},
	{"stream a string", body(`"stream":"yes"`), "stream must be a boolean, but is a string"},
	{"temperature a string", body(`"temperature":"hot"`), "temperature must be a number, but is a string"},
	{"temperature too high", body(`"temperature":3`), "temperature must be between 0 and 2, but is 3"},
	{"temperature negative", body(`"temperature":-0.1`), "temperature must be between"},
	{"temperature absurd", body(`"temperature":1e999`), "temperature must be between"},
	{"top_p too high", body(`"top_p":1.5`), "top_p must be between 0 and 1"},
	{"min_p too high", body(`"min_p":2`), "min_p must be between 0 and 1"},
	{"top_k a fraction", body(`"top_k":1.5`), "top_k must be a whole number"},
	{"top_k negative", body(`"top_k":-7`), "top_k must be at least -1"},
	{"seed too large", body(`"seed":99999999999999999999`), "seed must be a whole number"},
	{"max_tokens zero", body(`"max_tokens":0`), "max_tokens must be at least 1"},
	{"max_tokens a string", body(`"max_tokens":"9"`), "max_tokens must be a whole number"},
	{"frequency_penalty too high", body(`"frequency_penalty":3`), "frequency_penalty must be between -2 and 2"},
	{"presence_penalty an array", body(`"presence_penalty":[]`), "presence_penalty must be a number, but is an array"},
	{"repeat_penalty zero", body(`"repeat_penalty":0`), "repeat_penalty must be greater than 0"},
	{"tools", body(`"tools":[{"name":"f"}]`), noTools},
	{"tools an object", body(`"tools":{"name":"f"}`), noTools},
}

const noTools = "tool calling is not available in this version"

// badChats and badMessages are refused by one surface.
var badChats = []struct{ name, body, want string }{
	{"stop a number", body(`"stop":1`), "stop must be a string or an array"},
	{"stop of numbers", body(`"stop":[1]`), "stop[0] must be a string"},
	{"stop empty", body(`"stop":[""]`), "stop[0] must not be empty"},
	{"too many stops", body(`"stop":["a"` + strings.Repeat(`,"a"`, 16) + `]`), "at most 16"},
	{"stop too long", body(`"stop":"` + strings.Repeat("s", 2000) + `"`), "at most 1024 bytes"},
	{"stream_options a string", body(`"stream":true,"stream_options":"usage"`), "stream_options must be an object"},
	{"include_usage a string", body(`"stream":true,"stream_options":{"include_usage":"yes"}`), "stream_options.include_usage must be a boolean"},
	{"max_completion_tokens", body(`"max_completion_tokens":-2`), "max_completion_tokens must be at least -1"},
	{"n", body(`"n":2`), "more than one choice"},
	{"n zero", body(`"n":0`), "n must be between"},
	{"logprobs", body(`"logprobs":true`), "log probabilities"},
	{"top_logprobs", body(`"top_logprobs":5`), "log probabilities"},
	{"logit_bias", body(`"logit_bias":{"5":1}`), "logit_bias"},
	{"json_object", body(`"response_format":{"type":"json_object"}`), "json_object"},
	{"response_format empty", body(`"response_format":{}`), "response_format.type is missing"},
	{"audio", body(`"audio":{"voice":"x"}`), "audio"},
	{"modalities", body(`"modalities":["text","audio"]`), "modalities"},
	{"prediction", body(`"prediction":{"type":"content"}`), "prediction"},
	{"functions", body(`"functions":[{"name":"f"}]`), noTools},
	{"tool_choice", body(`"tool_choice":"required"`), noTools},
	{"tool message", `{"messages":[{"role":"tool","content":"x"}]}`, noTools},
	{"function message", `{"messages":[{"role":"function","content":"x"}]}`, noTools},
	{"tool calls", `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}`, noTools},
	{"image", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}`, "image input"},
	{"audio part", `{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, "audio input"},
	{"file part", `{"messages":[{"role":"user","content":[{"type":"file"}]}]}`, "file input"},
}

var badMessages = []struct{ name, body, want string }{
	{"stop_sequences empty", body(`"stop_sequences":[""]`), "stop_sequences[0] must not be empty"},
	{"max_tokens negative", body(`"max_tokens":-1`), "max_tokens must be at least 1"},
	{"thread", body(`"thread":{"type":"create"}`), "thread"},
	{"tool_choice", body(`"tool_choice":{"type":"any"}`), noTools},
	{"tool_choice a string", body(`"tool_choice":"any"`), "tool_choice must be an object"},
	{"output format", body(`"output_config":{"format":{"type":"json_schema"}}`), "output_config.format"},
	{"thinking a boolean", body(`"thinking":true`), "thinking must be an object"},
	{"thinking unknown", body(`"thinking":{"type":"deep"}`), "thinking.type"},
	{"mcp", body(`"mcp_servers":[{"url":"x"}]`), "mcp_servers"},
	{"system a number", body(`"system":4`), "system must be a string or an array"},
	{"system image", body(`"system":[{"type":"image"}]`), "image input"},
	{"prefill", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"{"}]}`, "prefill"},
	{"tool_use", `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1"}]}]}`, noTools},
	{"tool_result", `{"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}`, noTools},
	{"image", `{"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}`, "image input"},
	{"document", `{"messages":[{"role":"user","content":[{"type":"document","source":{}}]}]}`, "document input"},
	{"thinking of a user", `{"messages":[{"role":"user","content":[{"type":"thinking"}]}]}`, "thinking"},
}

func TestBadBodies(t *testing.T) {
	e := newFake(hello()...)
	refused := func(path, name, body, want string) {
		t.Run(path+" "+name, func(t *testing.T) {
			w := do(e, newRequest("POST", path, body))
			require.Equal(t, http.StatusBadRequest, w.Code, w.Body)
			kind, message := errorOf(t, path, w.Body.Bytes())
			require.Equal(t, "invalid_request_error", kind)
			require.Contains(t, message, want)
			require.Less(t, len(message), 1000)
		})
	}
	for _, b := range badBodies {
		refused(chatPath, b.name, b.body, b.want)
		refused(messagesPath, b.name, b.body, b.want)
	}
	for _, b := range badChats {
		refused(chatPath, b.name, b.body, b.want)
	}
	for _, b := range badMessages {
		refused(messagesPath, b.name, b.body, b.want)
	}
	require.Empty(t, e.requests(), "a refused request must not reach the engine")
}

// errorOf checks the shape of an error and returns its type and message.
func errorOf(t *testing.T, path string, body []byte) (kind, message string) {
	t.Helper()
	var e struct {
		Type      string         `json:"type"`
		RequestID string         `json:"request_id"`
		Error     map[string]any `json:"error"`
	}
	require.NoError(t, json.Unmarshal(body, &e), string(body))
	if strings.HasPrefix(path, messagesPath) {
		require.Equal(t, "error", e.Type)
		require.NotEmpty(t, e.RequestID)
	} else {
		require.Contains(t, e.Error, "param")
		require.Contains(t, e.Error, "code")
	}
	kind, _ = e.Error["type"].(string)
	message, _ = e.Error["message"].(string)
	return kind, message
}

func TestThreadRefusalIsWhatToolRunnersExpect(t *testing.T) {
	w := do(newFake(), newRequest("POST", messagesPath, `{"thread":{"type":"continue","previous_message_id":"m"},"messages":[]}`))
	golden(t, "messages_thread.golden", w.Result().Status+"\n"+w.Body.String())
}

func TestBadRoutes(t *testing.T) {
	big := body(`"x":"` + strings.Repeat("x", 2000) + `"`)
	for _, tc := range []struct {
		method, path, body string
		status             int
		kind, want, allow  string
	}{
		{"GET", "/nope", "", 404, "invalid_request_error", "/nope", ""},
		{"POST", "/chat/completions", "{}", 404, "invalid_request_error", "Did you mean /v1/chat/completions", ""},
		{"POST", "/v1/v1/messages", "{}", 404, "invalid_request_error", "Did you mean /v1/messages", ""},
		{"POST", "/v1/messages/count_tokens", "{}", 404, "not_found_error", "count_tokens", ""},
		{"GET", "/v1/chat/completions", "", 405, "invalid_request_error", "GET", "POST"},
		{"DELETE", "/v1/messages", "", 405, "invalid_request_error", "DELETE", "POST"},
		{"POST", "/v1/models", "{}", 405, "invalid_request_error", "POST", "GET"},
		{"POST", "/health", "{}", 405, "invalid_request_error", "POST", "GET"},
		{"POST", chatPath, big, 413, "invalid_request_error", "1000 bytes", ""},
		{"POST", messagesPath, big, 413, "request_too_large", "1000 bytes", ""},
	} {
		for _, unknownLength := range []bool{false, true} {
			r := newRequest(tc.method, tc.path, tc.body)
			if unknownLength {
				r.ContentLength = -1
			}
			w := doWith(server.Options{Engine: newFake(hello()...), MaxBodyBytes: 1000}, r)
			require.Equal(t, tc.status, w.Code, tc.path)
			kind, message := errorOf(t, tc.path, w.Body.Bytes())
			require.Equal(t, tc.kind, kind, tc.path)
			require.Contains(t, message, tc.want)
			require.Contains(t, w.Header().Get("Allow"), tc.allow)
			require.Equal(t, "test-1", w.Header().Get("X-Request-Id"))
		}
	}
}
