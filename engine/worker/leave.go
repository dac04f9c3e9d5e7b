package worker

import (
	"fmt"
	"slices"
	"time"

	"samovar/engine/infer"
)

// dropCancelled lets go of requests that nobody waits for any more.
func (l *loop) dropCancelled(now time.Time) {
	l.waiting = slices.DeleteFunc(l.waiting, func(j *job) bool {
		switch {
		case j.cancelled.Load():
			j.close()
			l.ended(j.ticket)
		case j.paused == nil && !j.deadline.IsZero() && now.After(j.deadline):
			j.close()
			l.refuse(j.ticket, infer.Error{Code: infer.CodeDeadline,
				Message: fmt.Sprintf("The request waited %.1f s for its turn, longer than its client wants to wait.", now.Sub(j.arrived).Seconds()),
				Hint:    "Try again later, or with a longer time-out."})
		default:
			return false
		}
		return true
	})
	for _, s := range slices.Clone(l.active) {
		if s.cancelled.Load() && !l.holds(s, now) {
			l.judge(s, false)
			l.rest(s)
		}
	}
}

// A client that leaves while its long prompt is prefilled is likely to come back with
// it: many have time limits shorter than that takes. The prefill goes on, for nobody,
// as long as nobody waits but for it: who comes back meanwhile follows it.
const (
	holdFrom = 1024 // tokens of a prompt
	holdFor  = 2 * time.Minute
)

// continues says whether a job's prompt goes on with all of a sequence's.
func continues(j *job, s *sequence) bool {
	n := len(s.tokens)
	return len(j.tokens) >= n && slices.Equal(j.tokens[:n], s.tokens)
}

// holds says whether the prefill of a request whose client has left goes on.
func (l *loop) holds(s *sequence, now time.Time) bool {
	if !s.holdable() || s.restore != nil || s.follows || l.prefillLeft(s) == 0 || slices.ContainsFunc(l.waiting, func(j *job) bool { return l.sizes.whole || !continues(j, s) }) {
		return false
	}
	if s.left.IsZero() {
		s.left = now
		l.held++
	}
	return now.Sub(s.left) < holdFor
}
