package infer

import "time"

// Role says who speaks in a Message.
type Role string

// The roles that reach a chat template. "developer" is OpenAI's newer word for
// a system message; surfaces map it to RoleSystem before it gets here.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Message is one turn of a conversation, as text.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
}

// Request asks for one generation.
type Request struct {
	// ID names the request in answers, logs and frames (X-Request-Id). It is
	// unique among the requests in flight.
	ID string `json:"id"`
	// Agent identifies who asks, if that is known: requests of one agent share its
	// turn, so that an agent with many requests does not starve the others.
	Agent string `json:"agent,omitempty"`
	// Tool is the program that asks, for people to recognise; empty if unknown.
	Tool string `json:"tool,omitempty"`
	// Deadline is when the client stops waiting; zero if unknown. A request that
	// cannot begin before it is shed, and one that waits is dropped when it passes.
	Deadline time.Time `json:"deadline,omitzero"`
	// Model is the name that the client used; empty means the default model.
	Model string `json:"model,omitempty"`
	// Messages is the conversation, oldest first, never empty.
	Messages []Message `json:"messages"`
	// MaxTokens bounds the answer, in tokens. 0 means as many as the context
	// has room for.
	MaxTokens int `json:"max_tokens,omitempty"`
	// Stop holds strings that end the answer; they are not part of it.
	Stop     []string `json:"stop,omitempty"`
	Sampling Sampling `json:"sampling"`
}

// Sampling holds how the next token is chosen. A nil field means: the model's
// own default if its file has one, else Samovar's (see Defaults).
type Sampling struct {
	// Temperature flattens (> 1) or sharpens (< 1) the distribution; 0 is greedy.
	Temperature *float64 `json:"temperature,omitempty"`
	// TopK keeps the k likeliest tokens. 0 or less asks for no limit, which the
	// engine serves with a large one (an unlimited top-p costs milliseconds a token).
	TopK *int `json:"top_k,omitempty"`
	// TopP keeps the smallest set of tokens whose probabilities reach p, 0 < p ≤ 1.
	TopP *float64 `json:"top_p,omitempty"`
	// MinP keeps tokens at least p times as likely as the likeliest, 0 ≤ p ≤ 1.
	MinP *float64 `json:"min_p,omitempty"`
	// RepeatPenalty divides the logits of recent tokens; 1 is off.
	RepeatPenalty *float64 `json:"repeat_penalty,omitempty"`
	// FrequencyPenalty and PresencePenalty are OpenAI's, −2 … 2; 0 is off.
	FrequencyPenalty *float64 `json:"frequency_penalty,omitempty"`
	PresencePenalty  *float64 `json:"presence_penalty,omitempty"`
	// Seed makes the choice repeatable: the same request with the same seed on
	// an otherwise idle engine gives the same text. nil draws one.
	Seed *uint32 `json:"seed,omitempty"`
}
