package infer

import "time"

// State is the state of the worker behind a model.
type State string

const (
	StateStopped  State = "stopped"
	StateStarting State = "starting"
	StateReady    State = "ready"
	StateDraining State = "draining"
	StateFailed   State = "failed"
)

// Status is a snapshot of the engine.
type Status struct {
	State State `json:"state"`
	// Since is when State was entered.
	Since time.Time `json:"since"`
	// Progress of loading, 0 … 1; meaningful while starting.
	Progress float64 `json:"progress"`
	// Reason and Hint say, for failed and starting again, what happened and
	// what to do.
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
	// Restarts counts the worker's unplanned restarts since Open.
	Restarts int `json:"restarts"`
	// WorkerPID is the process id of the worker, 0 when there is none.
	WorkerPID int `json:"worker_pid,omitempty"`
	// LoadTime is how long the last load took: spawn → ready.
	LoadTime time.Duration `json:"load_ns,omitempty"`
	// Active and Queued count requests bound to a sequence and waiting for one.
	Active int   `json:"active"`
	Queued int   `json:"queued"`
	Model  Model `json:"model"`
}

// Model describes a model that can be asked for.
type Model struct {
	// ID is the name by which requests ask for it.
	ID string `json:"id"`
	// Name is what its file calls it.
	Name string `json:"name,omitempty"`
	// Created is when its file was made, as far as known.
	Created time.Time `json:"created"`
	// Architecture, Parameters, FileBytes: facts of the GGUF; zero until loaded.
	Architecture string `json:"architecture,omitempty"`
	Parameters   uint64 `json:"parameters,omitempty"`
	FileBytes    uint64 `json:"file_bytes,omitempty"`
	// ContextTokens is the most tokens that prompt and answer may have together.
	ContextTokens int `json:"context_tokens,omitempty"`
	// PoolCells is the size of the KV pool that all sequences share, in cells.
	PoolCells int `json:"pool_cells,omitempty"`
}
