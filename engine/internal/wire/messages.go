package wire

import (
	"fmt"

	"samovar/engine/infer"
)

// Kind names the struct in a frame's body.
type Kind byte

const (
	// From the worker.
	KindHello     Kind = 1
	KindProgress  Kind = 2
	KindReady     Kind = 3
	KindFailed    Kind = 4
	KindAccepted  Kind = 5
	KindOutput    Kind = 6
	KindRejected  Kind = 7
	KindOccupancy Kind = 8
	// From the parent.
	KindLoad   Kind = 16
	KindSubmit Kind = 17
	KindCancel Kind = 18
)

var kindNames = map[Kind]string{
	KindHello: "hello", KindProgress: "progress", KindReady: "ready", KindFailed: "failed",
	KindAccepted: "accepted", KindOutput: "output", KindRejected: "rejected",
	KindLoad: "load", KindSubmit: "submit", KindCancel: "cancel", KindOccupancy: "occupancy",
}

func (k Kind) known() bool { return kindNames[k] != "" }

// String returns the kind's name.
func (k Kind) String() string {
	if n := kindNames[k]; n != "" {
		return n
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Hello is the worker's first frame.
type Hello struct {
	Protocol int    `json:"protocol"`
	Build    string `json:"build"`
}

// Load tells the worker what to load, and how.
type Load struct {
	LibDir string `json:"lib_dir"`
	Path   string `json:"path"`
	// ContextTokens is the most that prompt and answer may have; 0 takes the model's.
	ContextTokens int `json:"context_tokens"`
	// KVType is the type of the KV cache's elements: f16, q8_0, …
	KVType string `json:"kv_type"`
	// Threads computes; 0 takes the cores that there are.
	Threads int `json:"threads"`
	// ChatTemplate replaces the model's own, if not empty.
	ChatTemplate string `json:"chat_template,omitempty"`
}

// Progress is how much of the model is loaded, 0 … 1.
type Progress struct {
	Fraction float64 `json:"fraction"`
}

// Ready says that the worker takes requests.
type Ready struct {
	Model infer.Model `json:"model"`
}

// Failed says that loading failed and will fail again; the worker exits.
type Failed struct {
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// Submit hands a request to the worker.
type Submit struct {
	Request infer.Request `json:"request"`
}

// Cancel ends a request; unknown ids are ignored.
type Cancel struct {
	ID string `json:"id"`
}

// Accepted says that a request's prompt was tokenised and fits.
type Accepted struct {
	ID    string      `json:"id"`
	Usage infer.Usage `json:"usage"`
}

// Output is a piece of a request's answer.
type Output struct {
	ID    string      `json:"id"`
	Event infer.Event `json:"event"`
}

// Rejected ends a request with an error.
type Rejected struct {
	ID    string      `json:"id"`
	Error infer.Error `json:"error"`
}

// Occupancy counts the worker's requests; it is sent whenever they change.
type Occupancy struct {
	// Active requests are bound to a sequence, Queued ones wait for one.
	Active int `json:"active"`
	Queued int `json:"queued"`
}
