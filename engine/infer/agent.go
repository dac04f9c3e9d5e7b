package infer

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Tier says where what an agent needs next is.
type Tier string

const (
	// TierHot: in the pool; it resumes in about a decode step.
	TierHot Tier = "hot"
	// TierWarm: kept on disk; it resumes in milliseconds for a thousand tokens.
	TierWarm Tier = "warm"
	// TierCold: nothing of it is kept.
	TierCold Tier = "cold"
)

// Agent is somebody who comes back with a conversation that goes on. Times that are
// durations are in nanoseconds.
type Agent struct {
	ID string `json:"id"`
	// Tool is the program that it speaks through, if that is known.
	Tool    string    `json:"tool,omitempty"`
	Model   string    `json:"model,omitempty"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"last_used_at,omitzero"`
	Pinned  bool      `json:"pinned"`

	Tier Tier `json:"tier"`
	// Tokens is how long its conversation is, HotTokens and WarmTokens how much of it
	// is in the pool and on disk; Bytes is what its files have, shared ones included.
	Tokens     int   `json:"tokens"`
	HotTokens  int   `json:"hot_tokens"`
	WarmTokens int   `json:"warm_tokens"`
	Bytes      int64 `json:"bytes"`
	// Resume is about how long its next first token would take from here.
	Resume time.Duration `json:"resume_ns"`

	// Requests were made, Hits of which reused something.
	Requests int `json:"requests"`
	Hits     int `json:"hits"`
	Saved
	// LastMiss is the last time that it reused less than it could.
	LastMiss *Miss `json:"last_miss,omitempty"`
}

// Saved is what keeping KV has spared, and what it cost.
type Saved struct {
	// PromptTokens were asked, CachedTokens of which not computed again; computing them
	// would have taken Time on this machine.
	PromptTokens int           `json:"prompt_tokens"`
	CachedTokens int           `json:"cached_tokens"`
	Time         time.Duration `json:"saved_ns"`
	WrittenBytes int64         `json:"written_bytes"`
}

// Add adds o.
func (s *Saved) Add(o Saved) {
	s.PromptTokens += o.PromptTokens
	s.CachedTokens += o.CachedTokens
	s.Time += o.Time
	s.WrittenBytes += o.WrittenBytes
}

// SavedDay is what was saved on a day (UTC), as YYYY-MM-DD.
type SavedDay struct {
	Day      string `json:"day"`
	Requests int    `json:"requests"`
	Saved
}

// Savings is the ledger: the days, the last one first, and their sum.
type Savings struct {
	Total SavedDay   `json:"total"`
	Days  []SavedDay `json:"days"`
	// Agents are those that are known, the one that was saved most time first.
	Agents []AgentSaved `json:"agents"`
}

// Plus returns both ledgers as one.
func (s Savings) Plus(o Savings) Savings {
	s.Total.add(o.Total)
	s.Days = slices.Clone(s.Days)
	for _, d := range o.Days {
		if i := slices.IndexFunc(s.Days, func(e SavedDay) bool { return e.Day == d.Day }); i >= 0 {
			s.Days[i].add(d)
		} else {
			s.Days = append(s.Days, d)
		}
	}
	slices.SortFunc(s.Days, func(a, b SavedDay) int { return strings.Compare(b.Day, a.Day) })
	s.Agents = slices.Concat(s.Agents, o.Agents)
	slices.SortStableFunc(s.Agents, func(a, b AgentSaved) int { return cmp.Compare(b.Time, a.Time) })
	return s
}

func (d *SavedDay) add(o SavedDay) {
	d.Requests += o.Requests
	d.Add(o.Saved)
}

// AgentSaved is what was saved for one agent.
type AgentSaved struct {
	ID string `json:"id"`
	Saved
}

// MissReason says why an agent's request reused less than it could.
type MissReason string

const (
	// MissChanged: the conversation is another one from some place on.
	MissChanged MissReason = "changed"
	// MissGone: it is the same, but what it needs is not kept, or no more.
	MissGone MissReason = "gone"
	// MissCheckpoint: it is the same, but this kind of model resumes at checkpoints
	// only, and the last one was before.
	MissCheckpoint MissReason = "checkpoint"
)

// Miss explains why a request reused less than it could.
type Miss struct {
	Reason MissReason `json:"reason"`
	// At is when the request ended.
	At time.Time `json:"at,omitzero"`
	// Text says it in words.
	Text string `json:"text"`
	// Message is the first that differs, from 0, and Role whose it is; −1 if it is
	// what the template puts between them. Offset is the first byte of it that
	// differs. Old and New are how it went on before and goes on now, cut.
	Message int    `json:"message"`
	Role    Role   `json:"role,omitempty"`
	Offset  int    `json:"offset"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	// Tokens were computed again for it, which took about Time.
	Tokens int           `json:"tokens"`
	Time   time.Duration `json:"time_ns"`
}

// Forgotten says what forgetting an agent has freed. What others share stays.
type Forgotten struct {
	ID    string `json:"id"`
	Bytes int64  `json:"freed_bytes"`
	Cells int    `json:"freed_cells"`
}
