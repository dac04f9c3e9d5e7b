package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"samovar/engine/infer"
)

// Kind names the struct in a frame's body.
type Kind byte

const (
	// From the worker.
	KindHello    Kind = 1
	KindProgress Kind = 2
	KindReady    Kind = 3
	KindFailed   Kind = 4
	KindAccepted Kind = 5
	KindOutput   Kind = 6
	KindRejected Kind = 7
	KindPulse    Kind = 8
	KindMeasured Kind = 9
	KindAnswer   Kind = 10
	KindPong     Kind = 11
	KindLog      Kind = 12
	// From the parent.
	KindLoad    Kind = 16
	KindSubmit  Kind = 17
	KindCancel  Kind = 18
	KindMeasure Kind = 19
	KindQuery   Kind = 20
	KindPing    Kind = 21
	KindTrim    Kind = 22
)

var kindNames = map[Kind]string{
	KindHello: "hello", KindProgress: "progress", KindReady: "ready", KindFailed: "failed",
	KindAccepted: "accepted", KindOutput: "output", KindRejected: "rejected",
	KindLoad: "load", KindSubmit: "submit", KindCancel: "cancel", KindPulse: "pulse",
	KindMeasure: "measure", KindMeasured: "measured", KindQuery: "query", KindAnswer: "answer",
	KindPing: "ping", KindTrim: "trim", KindPong: "pong", KindLog: "log",
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
	// KVBytes bounds the memory of the KV pool; 0 leaves its size to the worker.
	KVBytes int64 `json:"kv_bytes,omitempty"`
	// MemoryBytes is what the model may take, context included; 0 is what is there.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Threads computes; 0 takes the cores that there are.
	Threads int `json:"threads"`
	// ChatTemplate replaces the model's own, if not empty.
	ChatTemplate string `json:"chat_template,omitempty"`
	Keep         Keep   `json:"keep"`
}

// SaveFor is how long a worker may go on saving when its parent has gone or wants it
// to leave.
const SaveFor = 8 * time.Second

// Keep says where KV is kept, and how much of it.
type Keep struct {
	// Dir is the folder for the KV of all models; empty keeps none.
	Dir string `json:"dir,omitempty"`
	// QuotaBytes bounds this model's files, DailyBytes what is written in a day; 0
	// does not. SpareBytes of the disk are left to others.
	QuotaBytes int64 `json:"quota_bytes,omitempty"`
	DailyBytes int64 `json:"daily_bytes,omitempty"`
	SpareBytes int64 `json:"spare_bytes,omitempty"`
	// MemoryBytes bounds what of it is held in memory.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Namespace keeps apart what must not be shared.
	Namespace string `json:"namespace,omitempty"`
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
	// Said are the tokens of its answer that another worker has sampled and sent: the
	// answer goes on behind them.
	Said []int32 `json:"said,omitempty"`
	// Patience is how long from now its client still waits for the answer to begin; 0 is
	// unknown. The request's own deadline is not sent: a time of day means something else
	// once the clock was set.
	Patience time.Duration `json:"patience_ns,omitempty"`
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
	// Token is the one that was sampled, if Event counts one and is not the last.
	Token int32 `json:"token,omitempty"`
	// Opened says that it was drawn from logits that were kept: nothing was computed.
	Opened bool `json:"opened,omitempty"`
}

// Rejected ends a request with an error.
type Rejected struct {
	ID    string      `json:"id"`
	Error infer.Error `json:"error"`
}

// Pulse is the worker's state: what it has to do, where its pool goes and what
// its steps cost. It is sent at least when Active or Queued change, a few times a
// second while the worker computes, and once when it has become idle.
type Pulse struct {
	// Active requests are bound to a sequence, Queued ones wait for one.
	Active int         `json:"active"`
	Queued int         `json:"queued"`
	Pool   infer.Pool  `json:"pool"`
	Steps  infer.Steps `json:"steps"`
	Kept   infer.Kept  `json:"kept"`
	// Health is whether what it computes makes sense.
	Health infer.Health `json:"health"`
	// Requests are those that are active, then those that wait, the next one first; of
	// these at most PulseWaiting.
	Requests []Doing `json:"requests,omitempty"`
}

// PulseWaiting bounds how many waiting requests a Pulse lists.
const PulseWaiting = 64

// Doing is what a request is at.
type Doing struct {
	ID string `json:"id"`
	// Agent is whose it is, as its conversation tells.
	Agent string      `json:"agent,omitempty"`
	Phase infer.Phase `json:"phase"`
	// Since is when the phase began, in milliseconds of Unix time; 0 while it has been
	// waiting since it came.
	Since int64 `json:"since,omitempty"`
	// Reason is why it waits. Cells are those that it waits for, Room is how many of them
	// it could have; both are 0 unless it is the next one.
	Reason infer.WaitReason `json:"reason,omitempty"`
	Cells  int              `json:"cells,omitempty"`
	Room   int              `json:"room,omitempty"`
	// Follows is the request that computes the same beginning, of Common tokens.
	Follows string `json:"follows,omitempty"`
	Common  int    `json:"common,omitempty"`
	// Prompt is the length of its prompt, of which Cached tokens were reused so far and
	// Prefilled computed; Completed are those of its answer.
	Prompt    int `json:"prompt"`
	Cached    int `json:"cached,omitempty"`
	Prefilled int `json:"prefilled,omitempty"`
	Completed int `json:"completed,omitempty"`
}

// Measure asks for one round of the raw decode loop, once nothing else is to be
// done: Rows sequences of PromptTokens made-up tokens, then Tokens for each.
type Measure struct {
	ID           string `json:"id"`
	Rows         int    `json:"rows"`
	Tokens       int    `json:"tokens"`
	PromptTokens int    `json:"prompt_tokens"`
}

// Measured answers a Measure. Error is empty if it was done.
type Measured struct {
	ID string `json:"id"`
	// Seconds is from the first sampled tokens to the last: Tokens-1 steps.
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// Ping asks whether the worker lives; it answers at once, also while it computes.
type Ping struct{}

// Trim has the worker let go of memory, or take it again, as long as nothing else is said.
type Trim struct {
	// Idle sequences leave the pool. Caches of what is on disk are emptied and stay so.
	Idle   bool `json:"idle"`
	Caches bool `json:"caches"`
}

// Pong answers a Ping.
type Pong struct {
	// StepSeconds is how long the step loop has been at what it does; 0 if it waits.
	StepSeconds float64 `json:"step_seconds"`
	// Steps counts those that were made.
	Steps uint64 `json:"steps"`
}

// Log is a line for the parent's log.
type Log struct {
	// Level is slog's.
	Level   int     `json:"level"`
	Message string  `json:"message"`
	Fields  []Field `json:"fields,omitempty"`
}

// Field is a value in a Log.
type Field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Op is what a Query wants.
type Op string

// The operations. Those on one agent name it.
const (
	OpAgents  Op = "agents"  // answers []infer.Agent
	OpAgent   Op = "agent"   // answers infer.Agent, as the next ones do
	OpCreate  Op = "create"  // a new one, without a conversation
	OpFork    Op = "fork"    // To becomes one with the agent's conversation
	OpPin     Op = "pin"     // if On; else lets go
	OpEvict   Op = "evict"   // out of the pool
	OpForget  Op = "forget"  // and from disk; answers infer.Forgotten
	OpExport  Op = "export"  // into the file Path
	OpImport  Op = "import"  // from it, as To if that is not empty
	OpSavings Op = "savings" // answers infer.Savings
	OpSaving  Op = "saving"  // KV is saved from now on if On, else not
	OpCanary  Op = "canary"  // computes what was computed at the start; answers infer.Canary
)

// Query asks the worker something, or for something, that is no generation.
type Query struct {
	ID    string `json:"id"`
	Op    Op     `json:"op"`
	Agent string `json:"agent,omitempty"`
	To    string `json:"to,omitempty"`
	Tool  string `json:"tool,omitempty"`
	Path  string `json:"path,omitempty"`
	On    bool   `json:"on,omitempty"`
}

// Answer answers a Query: with a body that depends on its Op, or an error.
type Answer struct {
	ID    string          `json:"id"`
	Body  json.RawMessage `json:"body,omitempty"`
	Error *infer.Error    `json:"error,omitempty"`
}
