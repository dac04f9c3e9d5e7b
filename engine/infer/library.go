package infer

import "time"

// LocalModel is a model whose file is here.
type LocalModel struct {
	// Name is what it is asked for by; Aliases are others.
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	// Origin is where its file comes from: samovar (downloaded by us), guide, file,
	// huggingface, ollama, lmstudio or llama.cpp. Only samovar's can be removed.
	Origin string `json:"origin"`
	// Path is its file, the first part of a split one; Bytes is all parts' size, SHA256
	// the digest where it is known.
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"`
	SHA256   string    `json:"sha256,omitempty"`
	Modified time.Time `json:"modified_at,omitzero"`
	// Facts of its header; nil where Problem says why it cannot be served.
	Facts   *ModelFacts `json:"facts,omitempty"`
	Problem string      `json:"problem,omitempty"`
	// Needs is what it takes with a context of so many tokens, in bytes; Fits says that
	// there is so much on this machine.
	Needs        int64 `json:"needs_bytes,omitempty"`
	NeedsContext int   `json:"needs_context,omitempty"`
	Fits         bool  `json:"fits"`
	// State is the engine's, if the model is known to it.
	State State `json:"state,omitempty"`
}

// ModelFacts is what a model's header says.
type ModelFacts struct {
	Title         string `json:"title,omitempty"`
	Architecture  string `json:"architecture"`
	Parameters    uint64 `json:"parameters"`
	Quantisation  string `json:"quantisation,omitempty"`
	ContextTokens int    `json:"context_tokens"`
	// KVBytesPerToken is what a token's KV takes as f16.
	KVBytesPerToken int64 `json:"kv_bytes_per_token"`
	// Class says how its state is kept: attention, sliding-window, recurrent or hybrid.
	Class string `json:"class"`
	// Template, Tools and Thinking say that its chat template exists, takes tools, and
	// knows reasoning.
	Template bool `json:"template"`
	Tools    bool `json:"tools"`
	Thinking bool `json:"thinking"`
}

// PullState is how far a download is.
type PullState string

const (
	// PullStarting: the Hub is asked what there is to download.
	PullStarting  PullState = "starting"
	PullRunning   PullState = "running"
	PullVerifying PullState = "verifying"
	// PullPaused: it waits for somebody to resume it; its bytes stay.
	PullPaused    PullState = "paused"
	PullDone      PullState = "done"
	PullFailed    PullState = "failed"
	PullCancelled PullState = "cancelled"
)

// Ended says whether nothing more comes of a pull by itself.
func (s PullState) Ended() bool {
	return s == PullDone || s == PullFailed || s == PullCancelled || s == PullPaused
}

// Pull is a download of a model.
type Pull struct {
	// Name is what was asked for; Model what the model is called, once that is known.
	Name  string    `json:"name"`
	Model string    `json:"model,omitempty"`
	State PullState `json:"state"`
	// Done and Total are in bytes, all files together.
	Done           int64         `json:"done_bytes"`
	Total          int64         `json:"total_bytes"`
	BytesPerSecond float64       `json:"bytes_per_second"`
	Left           time.Duration `json:"left_ns"`
	// Error and Hint say why it has failed, and what to do.
	Error   string    `json:"error,omitempty"`
	Hint    string    `json:"hint,omitempty"`
	Started time.Time `json:"started_at"`
	Ended   time.Time `json:"ended_at,omitzero"`
}

// HubModel is a repository with models that could be downloaded.
type HubModel struct {
	Repo      string       `json:"repo"`
	Licence   string       `json:"licence,omitempty"`
	Gated     bool         `json:"gated"`
	Downloads int          `json:"downloads"`
	Likes     int          `json:"likes"`
	Variants  []HubVariant `json:"variants"`
}

// HubVariant is one of its files.
type HubVariant struct {
	// Name is what to pull: owner/repo:quant.
	Name  string `json:"name"`
	Quant string `json:"quant"`
	Bytes int64  `json:"bytes"`
	Fits  bool   `json:"fits"`
}

// Suggestion is an entry of the catalogue.
type Suggestion struct {
	Name       string `json:"name"`
	Ref        string `json:"ref"`
	Bytes      int64  `json:"bytes"`
	Parameters int64  `json:"parameters"`
	Licence    string `json:"licence"`
	Context    int    `json:"context_tokens"`
	Kind       string `json:"kind"`
	Tools      string `json:"tools"`
	// Checked says that size and digest were compared with the source.
	Checked bool `json:"checked"`
	// Needs is what it takes with a context of 8K tokens. Fits says that this machine has
	// so much, Recommended that it is the best of those, Here that it is downloaded.
	Needs       int64 `json:"needs_bytes"`
	Fits        bool  `json:"fits"`
	Recommended bool  `json:"recommended"`
	Here        bool  `json:"here"`
}
