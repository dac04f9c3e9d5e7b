package stress

import (
	"strings"
	"time"
)

// Outcome is what became of a request.
type Outcome string

// The outcomes.
const (
	// OK is a whole answer.
	OK Outcome = "ok"
	// Shed is 429, or 529 on Anthropic's surface.
	Shed Outcome = "shed"
	// Refused is any other 4xx, Failed any other status but 200.
	Refused Outcome = "refused"
	Failed  Outcome = "failed"
	// Timeout is an answer that was not whole in time.
	Timeout Outcome = "timeout"
	// Unreachable is a connection that failed before there was a status.
	Unreachable Outcome = "unreachable"
	// Broken is a stream that ended in any way but the right one.
	Broken Outcome = "broken"
	// Gone is a client that left because it wanted to.
	Gone Outcome = "gone"
)

// outcomes is their order in tables.
var outcomes = []Outcome{OK, Shed, Refused, Failed, Timeout, Unreachable, Broken, Gone}

// Attempt is one HTTP request.
type Attempt struct {
	Outcome Outcome
	// Status is 0 if there was none.
	Status int
	// RetryAfter is negative if the answer had none.
	RetryAfter time.Duration
	// Reason says why it is not OK.
	Reason string
}

// Sample is what a client saw of one request, all attempts included.
type Sample struct {
	Ask *Ask
	// Start and End are when it was sent first and was over, since the scenario's
	// beginning.
	Start, End time.Duration
	// Attempts are in order; the last one is what became of it.
	Attempts []Attempt
	// TTFT and E2E are of the last attempt; TTFT is 0 without text.
	TTFT, E2E time.Duration
	// Gaps are the times between pieces of text: ITL where a piece is a token,
	// which is nearly always.
	Gaps []time.Duration
	// Times are when the pieces arrived, if asked for; as Start.
	Times        []time.Duration
	PromptTokens int
	Tokens       int
	pieces       int
	text         strings.Builder
}

// Outcome is that of the last attempt.
func (s *Sample) Outcome() Outcome { return s.last().Outcome }

func (s *Sample) last() Attempt { return s.Attempts[len(s.Attempts)-1] }

// Text is the answer.
func (s *Sample) Text() string { return s.text.String() }
