package latency

import (
	"time"

	"samovar/engine/infer"
)

// Outcome says how a request ended.
type Outcome string

// The outcomes.
const (
	// Running: it has not ended.
	Running Outcome = "running"
	// OK: it was answered to its end.
	OK Outcome = "ok"
	// Shed: there was no room for it.
	Shed Outcome = "shed"
	// Refused: it could not be served as it was.
	Refused Outcome = "refused"
	// Failed: it should have been answered.
	Failed Outcome = "failed"
	// ClientGone: nobody was left to be answered.
	ClientGone Outcome = "client_gone"
)

// Start is what is known of a request when it comes in.
type Start struct {
	ID string `json:"id"`
	// Key is by which the engine knows it; empty if that is ID.
	Key     string    `json:"-"`
	Surface string    `json:"surface"`
	Model   string    `json:"model"`
	Agent   string    `json:"agent,omitempty"`
	Stream  bool      `json:"stream"`
	Arrived time.Time `json:"arrived"`
}

// Record is all that is known of a request. Times are in milliseconds, and
// absent until known. While it runs, its tokens are those until now.
type Record struct {
	Start
	Outcome Outcome          `json:"outcome"`
	Status  int              `json:"status,omitempty"`
	Shed    infer.ShedReason `json:"shed,omitempty"`
	// Error is what the client was told, if it was refused, or failed.
	Error  string `json:"error,omitempty"`
	Finish string `json:"finish_reason,omitempty"`

	// Phase is what it is at, PhaseSince since when, Wait why it waits. These are there only
	// while it runs, as PrefilledTokens is: how many tokens of the prompt were computed.
	Phase           infer.Phase `json:"phase,omitempty"`
	PhaseSince      time.Time   `json:"phase_since,omitzero"`
	Wait            *infer.Wait `json:"wait,omitempty"`
	PrefilledTokens int         `json:"prefilled_tokens,omitempty"`

	PromptTokens     int `json:"prompt_tokens,omitempty"`
	CachedTokens     int `json:"cached_tokens"`
	CompletionTokens int `json:"completion_tokens,omitempty"`

	Queue   float64 `json:"queue_ms,omitempty"`
	Restore float64 `json:"restore_ms,omitempty"`
	Prefill float64 `json:"prefill_ms,omitempty"`
	// TTFT is from arrival at the server to the first token, Total to the end.
	TTFT  float64 `json:"ttft_ms,omitempty"`
	Total float64 `json:"total_ms,omitempty"`
	// TPOT is (Total − TTFT) ÷ (CompletionTokens − 1).
	TPOT float64 `json:"tpot_ms,omitempty"`
	// Miss is why it reused less than it could.
	Miss *infer.Miss `json:"miss,omitempty"`
	// MaxITL is the longest gap between tokens.
	MaxITL float64 `json:"max_itl_ms,omitempty"`
}

// Request is one request that is being tracked. One goroutine uses it.
type Request struct {
	t      *Tracker
	series *series
	record Record
	last   time.Time // the last token; zero before the first
	ended  bool
	// The tracker's lock guards these: when the first token came, and what the engine said
	// last of the request.
	first    time.Time
	progress infer.Progress
}

// Tokens says that tokens of the answer were handed on.
func (r *Request) Tokens(n int, now time.Time) {
	if n <= 0 || r.ended {
		return
	}
	first := r.last.IsZero()
	gap := now.Sub(r.last)
	r.last = now
	r.t.mu.Lock()
	r.record.CompletionTokens += n
	if first {
		r.first = now
		r.record.TTFT = ms(now.Sub(r.record.Arrived))
		r.series.observe(TTFT, now.Sub(r.record.Arrived), now)
	} else {
		r.record.MaxITL = max(r.record.MaxITL, ms(gap))
		r.series.observe(ITL, gap, now)
	}
	r.series.count(n, now)
	if first {
		r.t.publish(r.view())
	}
	r.t.mu.Unlock()
}

// Explain says what the client is told of why the request ended; to be called before
// Finish.
func (r *Request) Explain(text string) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.record.Error = text
}

// Finish says that the request has ended; end is nil if no answer did. Only the
// first call counts.
func (r *Request) Finish(outcome Outcome, status int, shed infer.ShedReason, end *infer.End, now time.Time) {
	if r.ended {
		return
	}
	r.ended = true
	r.t.mu.Lock()
	rec := &r.record
	rec.Outcome, rec.Status, rec.Shed = outcome, status, shed
	rec.Total = ms(now.Sub(rec.Arrived))
	if end != nil {
		a, u := end.Anatomy, end.Usage
		rec.Finish, rec.Miss = string(end.Reason), end.Miss
		if end.Agent != "" {
			rec.Agent = end.Agent
		}
		rec.PromptTokens, rec.CachedTokens, rec.CompletionTokens = u.PromptTokens, u.CachedTokens, u.CompletionTokens
		rec.Queue, rec.Restore, rec.Prefill = ms(a.Queue), ms(a.Restore), ms(a.Prefill)
		r.series.observe(QueueWait, a.Queue, now)
		r.series.observe(EndToEnd, now.Sub(rec.Arrived), now)
		if u.CompletionTokens > 1 && !r.last.IsZero() {
			tpot := (now.Sub(rec.Arrived) - time.Duration(rec.TTFT*float64(time.Millisecond))) / time.Duration(u.CompletionTokens-1)
			rec.TPOT = ms(tpot)
			r.series.observe(TPOT, tpot, now)
		}
	}
	r.series.end(*rec, end != nil)
	r.t.forget(r)
	r.t.publish(r.record)
	r.t.mu.Unlock()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
