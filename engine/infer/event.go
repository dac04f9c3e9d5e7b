package infer

import (
	"context"
	"time"
)

// Stream delivers the Events of one request, in order: any number with Text,
// then one with End.
//
// Next blocks until there is an event, the request failed or ctx is done. An
// *Error from Next is final; ctx's error is not, and loses nothing: the next call
// goes on. After the End event Next returns io.EOF. A slow reader loses nothing: text that waits is joined into
// one event. One goroutine reads a Stream.
//
// Close cancels the generation if it still runs, and frees what it holds. It
// may be called at any time, from any goroutine, more than once.
type Stream interface {
	// Accepted returns what was known when the request was accepted: the size
	// of its prompt and how much of it was already in the KV cache.
	Accepted() Usage
	Next(ctx context.Context) (Event, error)
	Close()
}

// Event is a piece of the answer.
type Event struct {
	// Text is whole UTF-8 characters; it can be empty while Tokens is not,
	// when a character or a stop string is still open.
	Text string `json:"text,omitempty"`
	// Tokens counts the tokens sampled since the last event.
	Tokens int `json:"tokens,omitempty"`
	// End is set on the last event, which can hold text, too.
	End *End `json:"end,omitempty"`
}

// End says how and why a generation ended.
type End struct {
	Reason FinishReason `json:"reason"`
	// StopString is the string of Request.Stop that ended it, if one did.
	StopString string  `json:"stop_string,omitempty"`
	Usage      Usage   `json:"usage"`
	Anatomy    Anatomy `json:"anatomy"`
	// Agent is whose request it was: as it said, or as its conversation tells. Miss is
	// why it reused less than it could; nil if it did not.
	Agent string `json:"agent,omitempty"`
	Miss  *Miss  `json:"miss,omitempty"`
}

// FinishReason says why a generation ended.
type FinishReason string

const (
	// FinishStop: the model ended its turn.
	FinishStop FinishReason = "stop"
	// FinishStopString: one of Request.Stop appeared.
	FinishStopString FinishReason = "stop_string"
	// FinishLength: Request.MaxTokens was reached.
	FinishLength FinishReason = "length"
	// FinishContext: the model's context was full.
	FinishContext FinishReason = "context"
)

// Usage counts tokens.
type Usage struct {
	PromptTokens int `json:"prompt_tokens"`
	// CachedTokens is the part of PromptTokens whose KV was reused.
	CachedTokens     int `json:"cached_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

// Anatomy is where the time to the first token went, and the rest.
type Anatomy struct {
	// Queue: arrival in the engine until bound to a sequence.
	Queue time.Duration `json:"queue_ns"`
	// Restore: how long the first token waited, with a sequence bound, for what is read
	// back from disk. That is kept KV; or, if this very prompt was asked before, only the
	// logits after it: the KV comes back meanwhile, and the second token waits for it.
	Restore time.Duration `json:"restore_ns"`
	// Prefill: bound to a sequence (and restored) until the prompt was evaluated, or
	// until it was seen that it need not be.
	Prefill time.Duration `json:"prefill_ns"`
	// TTFT: arrival in the engine until the first token.
	TTFT time.Duration `json:"ttft_ns"`
	// Decode: first token until the last.
	Decode time.Duration `json:"decode_ns"`
}
