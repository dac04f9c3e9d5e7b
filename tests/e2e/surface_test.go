package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// surface is one way to ask the same: what tests do on every surface goes
// through it.
type surface struct {
	name, path string
	// stop is the name of the field with stop strings.
	stop string
	// whole and streamed read an answer.
	whole    func(t *testing.T, body []byte) answer
	streamed func(t *testing.T, events []event) answer
	// failure reads an error's message; it fails unless the shape is right.
	failure func(t *testing.T, body []byte) string
}

// answer is what both surfaces say, in one vocabulary.
type answer struct {
	text            string
	finish          string // stop, length, stop_string
	prompt, written int
}

var surfaces = []surface{
	{name: "openai", path: "/v1/chat/completions", stop: "stop", whole: openaiWhole, streamed: openaiStreamed, failure: openaiFailure},
	{name: "anthropic", path: "/v1/messages", stop: "stop_sequences", whole: anthropicWhole, streamed: anthropicStreamed, failure: anthropicFailure},
}

// onBoth runs a test for each surface.
func onBoth(t *testing.T, f func(t *testing.T, s surface)) {
	for _, s := range surfaces {
		t.Run(s.name, func(t *testing.T) { f(t, s) })
	}
}

// question is a greedy request; more fields come over it.
func question(text string, more map[string]any) map[string]any {
	q := map[string]any{
		"messages":    []map[string]any{{"role": "user", "content": text}},
		"temperature": 0,
		"max_tokens":  200,
	}
	maps.Copy(q, more)
	return q
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// ask asks for a whole answer.
func (s surface) ask(t *testing.T, in *instance, q map[string]any) answer {
	t.Helper()
	r := in.post(s.path, encode(t, q))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.NotEmpty(t, r.header.Get("X-Request-Id"))
	return s.whole(t, r.body)
}

// askStreamed asks for the same as a stream.
func (s surface) askStreamed(t *testing.T, in *instance, q map[string]any) answer {
	t.Helper()
	q = maps.Clone(q)
	q["stream"] = true
	if s.name == "openai" {
		q["stream_options"] = map[string]any{"include_usage": true}
	}
	r := in.post(s.path, encode(t, q))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.True(t, strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream"))
	return s.streamed(t, events(t, r.body))
}

// event is one of an event stream.
type event struct {
	name, data string
}

func (e event) decode(t *testing.T, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(e.data), into), e.data)
}

// events splits a whole event stream. Every event must be valid UTF-8 by itself.
func events(t *testing.T, body []byte) []event {
	t.Helper()
	var all []event
	var now event
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		require.True(t, utf8.ValidString(line), "%q", line)
		require.NotContains(t, line, "\uFFFD")
		if value, ok := strings.CutPrefix(line, "event: "); ok {
			now.name = value
		} else if value, ok := strings.CutPrefix(line, "data: "); ok {
			now.data = value
		} else if line == "" && now != (event{}) {
			all, now = append(all, now), event{}
		}
	}
	return all
}

type openaiBody struct {
	Object  string `json:"object"`
	Choices []struct {
		Message struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"message"`
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
		Type    string `json:"type"`
	} `json:"error"`
}

func (b openaiBody) fill(t *testing.T, a *answer) {
	t.Helper()
	for _, c := range b.Choices {
		a.text += c.Message.Content + c.Delta.Content
		if c.FinishReason != nil {
			require.Empty(t, a.finish, "one finish reason")
			a.finish = *c.FinishReason
		}
	}
	if b.Usage != nil {
		require.Equal(t, b.Usage.Total, b.Usage.Prompt+b.Usage.Completion)
		a.prompt, a.written = b.Usage.Prompt, b.Usage.Completion
	}
}

func openaiWhole(t *testing.T, body []byte) (a answer) {
	t.Helper()
	var b openaiBody
	require.NoError(t, json.Unmarshal(body, &b))
	require.Equal(t, "chat.completion", b.Object)
	require.Len(t, b.Choices, 1)
	require.Equal(t, "assistant", b.Choices[0].Message.Role)
	b.fill(t, &a)
	return a
}

func openaiStreamed(t *testing.T, events []event) (a answer) {
	t.Helper()
	require.NotEmpty(t, events)
	require.Equal(t, "[DONE]", events[len(events)-1].data)
	for _, e := range events[:len(events)-1] {
		var b openaiBody
		e.decode(t, &b)
		require.Nil(t, b.Error, e.data)
		require.Equal(t, "chat.completion.chunk", b.Object)
		b.fill(t, &a)
	}
	return a
}

func openaiFailure(t *testing.T, body []byte) string {
	t.Helper()
	var b openaiBody
	require.NoError(t, json.Unmarshal(body, &b), "%s", body)
	require.NotNil(t, b.Error, "%s", body)
	require.NotEmpty(t, b.Error.Type)
	return b.Error.Message
}

type anthropicBody struct {
	Type    string         `json:"type"`
	Message *anthropicBody `json:"message"`
	Role    string         `json:"role"`
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Delta struct {
		Text       string  `json:"text"`
		StopReason *string `json:"stop_reason"`
	} `json:"delta"`
	StopReason *string `json:"stop_reason"`
	Usage      struct {
		Input  int `json:"input_tokens"`
		Cached int `json:"cache_read_input_tokens"`
		Output int `json:"output_tokens"`
	} `json:"usage"`
	Error *struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

// finishes maps Anthropic's stop reasons to OpenAI's, which know no difference
// between an end and a stop string.
var finishes = map[string]string{"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}

func anthropicWhole(t *testing.T, body []byte) answer {
	t.Helper()
	var b anthropicBody
	require.NoError(t, json.Unmarshal(body, &b))
	require.Equal(t, "message", b.Type)
	require.Equal(t, "assistant", b.Role)
	require.Len(t, b.Content, 1)
	require.NotNil(t, b.StopReason)
	return answer{text: b.Content[0].Text, finish: finishes[*b.StopReason], prompt: b.Usage.Input + b.Usage.Cached, written: b.Usage.Output}
}

func anthropicStreamed(t *testing.T, events []event) (a answer) {
	t.Helper()
	var order []string
	for _, e := range events {
		var b anthropicBody
		e.decode(t, &b)
		require.Equal(t, e.name, b.Type)
		require.Nil(t, b.Error, e.data)
		if b.Type == "ping" {
			continue
		}
		if len(order) == 0 || order[len(order)-1] != b.Type {
			order = append(order, b.Type)
		}
		a.text += b.Delta.Text
		switch b.Type {
		case "message_start":
			a.prompt = b.Message.Usage.Input + b.Message.Usage.Cached
		case "message_delta":
			a.finish, a.written = finishes[*b.Delta.StopReason], b.Usage.Output
		}
	}
	full := []string{"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}
	if a.text == "" {
		full = slices.Delete(full, 2, 3)
	}
	require.Equal(t, full, order)
	return a
}

func anthropicFailure(t *testing.T, body []byte) string {
	t.Helper()
	var b anthropicBody
	require.NoError(t, json.Unmarshal(body, &b), "%s", body)
	require.Equal(t, "error", b.Type, "%s", body)
	require.NotNil(t, b.Error, "%s", body)
	require.NotEmpty(t, b.Error.Type)
	require.NotEmpty(t, b.RequestID)
	return b.Error.Message
}

func (a answer) String() string {
	return fmt.Sprintf("%q (%s, %d + %d tokens)", a.text, a.finish, a.prompt, a.written)
}
