package infer

import (
	"cmp"
	"slices"
	"time"
)

// State is the state of the worker behind a model.
type State string

const (
	// StateStopped: no worker, and no request is taken.
	StateStopped State = "stopped"
	// StateUnloaded: no worker, until a request comes.
	StateUnloaded State = "unloaded"
	StateStarting State = "starting"
	StateReady    State = "ready"
	StateDraining State = "draining"
	StateFailed   State = "failed"
)

// States are all there are.
var States = []State{StateStopped, StateUnloaded, StateStarting, StateReady, StateDraining, StateFailed}

// Transition is a change of a model's state, and why.
type Transition struct {
	At     time.Time `json:"at"`
	Model  string    `json:"model"`
	From   State     `json:"from"`
	To     State     `json:"to"`
	Reason string    `json:"reason"`
	Hint   string    `json:"hint,omitempty"`
}

// Overview is a snapshot of everything that is served: the default model's status, and
// that of each, the default one first.
type Overview struct {
	Status
	// Opened is when the engine was opened, since when its counters count.
	Opened time.Time `json:"opened_at,omitzero"`
	Models []Status  `json:"models"`
	Memory Memory    `json:"memory"`
	// Transitions are the last ones, the newest first.
	Transitions []Transition `json:"transitions,omitempty"`
}

// Memory is what models may take together, and what becomes of it.
type Memory struct {
	// Budget bounds Taken; both in bytes.
	Budget int64 `json:"budget_bytes"`
	Taken  int64 `json:"taken_bytes"`
	// Pressure is how scarce memory is on this machine: normal, warn or critical; empty
	// if that is not known.
	Pressure string `json:"pressure,omitempty"`
	// Relief says what is being done about it; empty if nothing is.
	Relief string `json:"relief,omitempty"`
	// OnBattery says that the machine runs on its battery.
	OnBattery bool `json:"on_battery"`
}

// Status is a snapshot of one model's engine.
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
	// Loads counts them; RoomTime is how long the last one waited until others had made
	// room, and UnloadTime how long the last unload took: saving included.
	Loads      int           `json:"loads"`
	RoomTime   time.Duration `json:"room_ns,omitempty"`
	UnloadTime time.Duration `json:"unload_ns,omitempty"`
	// Bytes is what the loaded model takes, as estimated. Pinned ones are not unloaded to
	// make room. Used is when it had a request last.
	Bytes  int64     `json:"memory_bytes,omitempty"`
	Pinned bool      `json:"pinned,omitempty"`
	Used   time.Time `json:"last_used_at,omitzero"`
	// Active and Queued count requests bound to a sequence and waiting for one.
	Active int `json:"active"`
	Queued int `json:"queued"`
	// EstimatedWait is how long a request that came now would wait for a sequence.
	EstimatedWait time.Duration `json:"estimated_wait_ns"`
	// Sheds counts the requests refused since the engine was opened, by reason.
	Sheds map[ShedReason]uint64 `json:"sheds,omitempty"`
	Pool  Pool                  `json:"pool"`
	Steps Steps                 `json:"steps"`
	Kept  Kept                  `json:"kept"`
	// Health is whether what the worker computes makes sense.
	Health Health `json:"health"`
	Model  Model  `json:"model"`
}

// Pool is a snapshot of the KV pool. Used = Active + Idle, Cells = Used + Free.
type Pool struct {
	// Cells is the pool's size; a cell holds one token's keys and values.
	Cells int `json:"cells"`
	// Used cells hold tokens of at least one sequence.
	Used int `json:"used"`
	// Shared cells hold tokens of more than one sequence; they count once in Used.
	Shared int `json:"shared"`
	// Pinned cells belong to sequences that are being computed; Reserved ones are
	// free still, but promised to these sequences' coming tokens.
	Pinned   int `json:"pinned"`
	Reserved int `json:"reserved"`
	// Idle cells belong only to sequences that wait, hot, for their next turn.
	Idle int `json:"idle"`
	Free int `json:"free"`
	// Span is the end of the highest used cell, which attention runs up to.
	Span int `json:"span"`
	// Sequences that are being computed, and that are hot.
	ActiveSequences int `json:"active_sequences"`
	IdleSequences   int `json:"idle_sequences"`
	// Evictions and Compactions count since the worker started.
	Evictions   uint64 `json:"evictions"`
	Compactions uint64 `json:"compactions"`
	// Pauses counts the sequences that had to make room for older ones.
	Pauses uint64 `json:"pauses"`
	// Held counts the requests whose prefill went on though their clients had left.
	Held uint64 `json:"held"`
	// Sequences describes each.
	Sequences []PoolSequence `json:"sequences,omitempty"`
	// SharedCells is where the shared cells are, as PoolSequence.Cells has it.
	SharedCells [][2]int `json:"shared_cells,omitempty"`
}

// PoolSequence is one sequence in the pool.
type PoolSequence struct {
	Seq int `json:"seq"`
	// Agent is whose it is, if known.
	Agent  string `json:"agent,omitempty"`
	Active bool   `json:"active"`
	// Tokens is its length, Shared how many of its cells others have, too.
	Tokens int `json:"tokens"`
	Shared int `json:"shared"`
	// Cells is where its cells are in the pool: [start, length] each, ascending, in at most
	// MaxPoolRuns runs. Where there are more, the smallest gaps between them are counted
	// in. It is empty where that is not known for sure, as with models whose state is not
	// only per token.
	Cells [][2]int `json:"cells,omitempty"`
}

// MaxPoolRuns bounds the runs of PoolSequence.Cells.
const MaxPoolRuns = 64

// Steps sums up the worker's steps since the engine was opened.
type Steps struct {
	Count       uint64 `json:"count"`
	DecodeRows  uint64 `json:"decode_rows"`
	PrefillRows uint64 `json:"prefill_rows"`
	Aborted     uint64 `json:"aborted"`
	// Busy is the time spent in steps.
	Busy time.Duration `json:"busy_ns"`
	// TimeBuckets[i] counts steps of at most StepTimeBounds[i]; RowBuckets
	// likewise by their rows. Neither is cumulative; the last bucket, one more than
	// there are bounds, takes the rest.
	TimeBuckets []uint64 `json:"time_buckets,omitempty"`
	RowBuckets  []uint64 `json:"row_buckets,omitempty"`
	// DecodeStep and PrefillRow are what a step without prefill, and each row of
	// prefill, cost lately; 0 if unknown.
	DecodeStep time.Duration `json:"decode_step_ns"`
	PrefillRow time.Duration `json:"prefill_row_ns"`
}

// The upper bounds of Steps' buckets.
var (
	StepTimeBounds = []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
		50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second,
	}
	StepRowBounds = []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
)

// Add counts one step.
func (s *Steps) Add(decodeRows, prefillRows int, took time.Duration) {
	if s.TimeBuckets == nil {
		s.TimeBuckets = make([]uint64, len(StepTimeBounds)+1)
		s.RowBuckets = make([]uint64, len(StepRowBounds)+1)
	}
	s.Count++
	s.DecodeRows += uint64(decodeRows)
	s.PrefillRows += uint64(prefillRows)
	s.Busy += took
	t, _ := slices.BinarySearch(StepTimeBounds, took)
	s.TimeBuckets[t]++
	r, _ := slices.BinarySearch(StepRowBounds, decodeRows+prefillRows)
	s.RowBuckets[r]++
}

// Plus returns the sum of both; the costs are b's where it knows them.
func (s Steps) Plus(b Steps) Steps {
	sum := func(x, y []uint64) []uint64 {
		if len(x) < len(y) {
			x, y = y, x
		}
		out := slices.Clone(x)
		for i, n := range y {
			out[i] += n
		}
		return out
	}
	return Steps{
		Count: s.Count + b.Count, DecodeRows: s.DecodeRows + b.DecodeRows, PrefillRows: s.PrefillRows + b.PrefillRows,
		Aborted: s.Aborted + b.Aborted, Busy: s.Busy + b.Busy,
		TimeBuckets: sum(s.TimeBuckets, b.TimeBuckets), RowBuckets: sum(s.RowBuckets, b.RowBuckets),
		DecodeStep: cmp.Or(b.DecodeStep, s.DecodeStep), PrefillRow: cmp.Or(b.PrefillRow, s.PrefillRow),
	}
}

// Health is what the worker knows of whether it computes right. It counts since the
// worker started.
type Health struct {
	// Canaries counts how often a fixed computation came out as it should, the first
	// time included.
	Canaries uint64 `json:"canaries"`
	// Suspicious counts the answers that were empty, or one token again and again.
	Suspicious uint64 `json:"suspicious"`
	// Discarded counts how often reused KV was dropped because of such answers.
	Discarded uint64 `json:"discarded"`
	// Warning says, for people, what is suspicious and what was done; empty once an
	// answer makes sense again.
	Warning string `json:"warning,omitempty"`
}

// Canary is how a fixed computation came out, compared with when the worker started.
type Canary struct {
	// Deviation is that of its logits, in their standard deviations.
	Deviation float64       `json:"deviation"`
	Took      time.Duration `json:"took_ns"`
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
	// CellBytes is the size of a cell, all layers together, in bytes.
	CellBytes int `json:"cell_bytes,omitempty"`
	// Sequences is how many requests can run at the same time.
	Sequences int `json:"sequences,omitempty"`
}
