package stress

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// API is the surface that requests are sent to.
type API string

// The surfaces.
const (
	OpenAI    API = "openai"
	Anthropic API = "anthropic"
)

// Target is the endpoint under load.
type Target struct {
	// BaseURL is without the API's version: http://127.0.0.1:7266.
	BaseURL string
	API     API
	// Model is what requests ask for; empty leaves it out.
	Model string
	// Key, if set, is sent as the surface's clients do.
	Key string
}

// BaseURL takes an address as people write it, with or without /v1.
func BaseURL(address string) string {
	return strings.TrimSuffix(strings.TrimRight(address, "/"), "/v1")
}

func (t Target) path() string {
	if t.API == Anthropic {
		return "/v1/messages"
	}
	return "/v1/chat/completions"
}

func (t Target) authorise(h http.Header) {
	switch {
	case t.API == Anthropic:
		h.Set("Anthropic-Version", "2023-06-01")
		if t.Key != "" {
			h.Set("X-Api-Key", t.Key)
		}
	case t.Key != "":
		h.Set("Authorization", "Bearer "+t.Key)
	}
}

// Turn is one message of a conversation.
type Turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Ask is one request for a streamed answer.
type Ask struct {
	// Group is what its numbers are summed up under.
	Group     string
	System    string
	Turns     []Turn
	MaxTokens int
	// Agent, if set, says whose conversation it is.
	Agent string
	// Timeout bounds each attempt.
	Timeout time.Duration
	// Patient asks again when it is shed, after the time that Retry-After says.
	Patient bool
	// HangUp, if set, decides after each piece of text whether to leave; Leave, if
	// set, is when to leave in any case.
	HangUp func(pieces int) bool
	Leave  time.Duration
	// Pause is how long a slow reader waits between reads.
	Pause time.Duration
	// Keep keeps what the answer was, and when each piece of it arrived.
	Keep bool
	// Expendable requests may be cut off by the server: what becomes of them is
	// counted, but not held against it.
	Expendable bool
}

func (t Target) body(a Ask) ([]byte, error) {
	turns := a.Turns
	body := map[string]any{"stream": true, "max_tokens": a.MaxTokens, "temperature": 0}
	if t.API == Anthropic {
		if a.System != "" {
			body["system"] = a.System
		}
	} else {
		body["stream_options"] = map[string]bool{"include_usage": true}
		if a.System != "" {
			turns = append([]Turn{{"system", a.System}}, turns...)
		}
	}
	body["messages"] = turns
	if t.Model != "" {
		body["model"] = t.Model
	}
	return json.Marshal(body)
}
