package openai

import (
	"time"

	"samovar/engine/infer"
	"samovar/server/sse"
)

// Answer writes one answer, streamed or whole.
type Answer struct {
	// ID is the request's; the completion's is made of it.
	ID      string
	Model   string
	Created time.Time
	// IncludeUsage adds a chunk with the usage to the end of a stream.
	IncludeUsage bool
}

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	// Usage is absent, null or a *usage: chunks before the last say null when
	// usage was asked for.
	Usage any `json:"usage,omitempty"`
}

type choice struct {
	Index int `json:"index"`
	// Message is set in a whole answer, Delta in a chunk.
	Message  *reply    `json:"message,omitempty"`
	Delta    *delta    `json:"delta,omitempty"`
	Logprobs *struct{} `json:"logprobs"`
	// FinishReason is null in every chunk but the last.
	FinishReason *string `json:"finish_reason"`
}

type reply struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	PromptTokens        int           `json:"prompt_tokens"`
	CompletionTokens    int           `json:"completion_tokens"`
	TotalTokens         int           `json:"total_tokens"`
	PromptTokensDetails promptDetails `json:"prompt_tokens_details"`
}

type promptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

// Begin writes the first chunk, which names the role.
func (a *Answer) Begin(w *sse.Writer, _ infer.Usage) {
	a.chunk(w, delta{Role: "assistant", Content: new(string)}, nil)
}

// Text writes a piece of the answer.
func (a *Answer) Text(w *sse.Writer, text string) { a.chunk(w, delta{Content: &text}, nil) }

// Idle writes a chunk that says nothing: some clients count only chunks as
// signs of life.
func (a *Answer) Idle(w *sse.Writer) { a.chunk(w, delta{}, nil) }

// End writes the last chunks.
func (a *Answer) End(w *sse.Writer, end infer.End) {
	a.chunk(w, delta{}, finishReason(end))
	if a.IncludeUsage {
		c := a.completion("chat.completion.chunk")
		c.Choices = []choice{}
		c.Usage = usageOf(end.Usage)
		w.Event("", c)
	}
	w.Data("[DONE]")
}

// Fail writes an error into a stream that has begun.
func (a *Answer) Fail(w *sse.Writer, status int, err error) { w.Event("", Error(status, err)) }

// Whole returns the answer in one piece.
func (a *Answer) Whole(text string, end infer.End) any {
	c := a.completion("chat.completion")
	c.Choices = []choice{{
		Message:      &reply{Role: "assistant", Content: text},
		FinishReason: finishReason(end),
	}}
	c.Usage = usageOf(end.Usage)
	return c
}

func (a *Answer) chunk(w *sse.Writer, d delta, finish *string) {
	c := a.completion("chat.completion.chunk")
	c.Choices = []choice{{Delta: &d, FinishReason: finish}}
	if a.IncludeUsage {
		c.Usage = (*usage)(nil)
	}
	w.Event("", c)
}

func (a *Answer) completion(object string) completion {
	return completion{ID: "chatcmpl-" + a.ID, Object: object, Created: a.Created.Unix(), Model: a.Model}
}

func usageOf(u infer.Usage) *usage {
	return &usage{
		PromptTokens:        u.PromptTokens,
		CompletionTokens:    u.CompletionTokens,
		TotalTokens:         u.PromptTokens + u.CompletionTokens,
		PromptTokensDetails: promptDetails{CachedTokens: u.CachedTokens},
	}
}

func finishReason(end infer.End) *string {
	reason := "stop"
	if end.Reason == infer.FinishLength || end.Reason == infer.FinishContext {
		reason = "length"
	}
	return &reason
}
