package anthropic

import (
	"samovar/engine/infer"
	"samovar/server/sse"
)

// Answer writes one answer, streamed or whole.
type Answer struct {
	// ID is unique among messages.
	ID string
	// RequestID is what the client knows the request by.
	RequestID string
	Model     string

	open bool // a content block has begun
}

type message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []block `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        usage   `json:"usage"`
}

type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// usage counts apart what OpenAI's counts together: input_tokens are those
// that were not read from the cache.
type usage struct {
	InputTokens              int `json:"input_tokens"`
	CacheCreationInputTokens int `json:"cache_creation_input_tokens"`
	CacheReadInputTokens     int `json:"cache_read_input_tokens"`
	OutputTokens             int `json:"output_tokens"`
}

type messageStart struct {
	Type    string  `json:"type"`
	Message message `json:"message"`
}

type blockStart struct {
	Type         string `json:"type"`
	Index        int    `json:"index"`
	ContentBlock block  `json:"content_block"`
}

type blockDelta struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta block  `json:"delta"`
}

type blockStop struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
}

type messageDelta struct {
	Type  string    `json:"type"`
	Delta stopDelta `json:"delta"`
	Usage usage     `json:"usage"`
}

type stopDelta struct {
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

type bare struct {
	Type string `json:"type"`
}

// Begin writes the message without its content.
func (a *Answer) Begin(w *sse.Writer, accepted infer.Usage) {
	w.Event("message_start", messageStart{Type: "message_start", Message: a.message(accepted)})
	a.Idle(w)
}

// Text writes a piece of the answer.
func (a *Answer) Text(w *sse.Writer, text string) {
	a.openBlock(w)
	w.Event("content_block_delta", blockDelta{Type: "content_block_delta", Delta: block{Type: "text_delta", Text: text}})
}

// Idle writes a ping, which is a sign of life to all clients.
func (a *Answer) Idle(w *sse.Writer) { w.Event("ping", bare{Type: "ping"}) }

// End writes the events that close the message.
func (a *Answer) End(w *sse.Writer, end infer.End) {
	a.openBlock(w) // a message without any block looks broken to clients
	w.Event("content_block_stop", blockStop{Type: "content_block_stop"})
	w.Event("message_delta", messageDelta{Type: "message_delta", Delta: stopOf(end), Usage: usageOf(end.Usage)})
	w.Event("message_stop", bare{Type: "message_stop"})
}

// Fail writes an error into a stream that has begun.
func (a *Answer) Fail(w *sse.Writer, status int, err error) {
	w.Event("error", Error(status, err, a.RequestID))
}

// Whole returns the answer in one piece.
func (a *Answer) Whole(text string, end infer.End) any {
	m := a.message(end.Usage)
	m.Content = append(m.Content, block{Type: "text", Text: text})
	stop := stopOf(end)
	m.StopReason, m.StopSequence = stop.StopReason, stop.StopSequence
	return m
}

func (a *Answer) openBlock(w *sse.Writer) {
	if a.open {
		return
	}
	a.open = true
	w.Event("content_block_start", blockStart{Type: "content_block_start", ContentBlock: block{Type: "text"}})
}

func (a *Answer) message(u infer.Usage) message {
	return message{
		ID: "msg_" + a.ID, Type: "message", Role: "assistant", Model: a.Model,
		Content: []block{}, Usage: usageOf(u),
	}
}

func usageOf(u infer.Usage) usage {
	return usage{
		InputTokens:          max(0, u.PromptTokens-u.CachedTokens),
		CacheReadInputTokens: u.CachedTokens,
		OutputTokens:         u.CompletionTokens,
	}
}

func stopOf(end infer.End) stopDelta {
	reason := "end_turn"
	var d stopDelta
	switch end.Reason {
	case infer.FinishLength:
		reason = "max_tokens"
	case infer.FinishContext:
		reason = "model_context_window_exceeded"
	case infer.FinishStopString:
		reason = "stop_sequence"
		d.StopSequence = &end.StopString
	}
	d.StopReason = &reason
	return d
}
