package worker

import (
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// enter takes note of what a request is at. It waits from the beginning.
func (j *job) enter(p infer.Phase, now time.Time) (changed bool) {
	if j.phase == p || j.phase == "" && p == infer.PhaseWaiting {
		return false
	}
	j.phase, j.since = p, now
	return true
}

// phaseOf is what an active request is at.
func (l *loop) phaseOf(s *sequence) infer.Phase {
	switch {
	case s.follows:
		return infer.PhaseWaiting
	case s.restore != nil:
		return infer.PhaseRestoring
	case l.prefillLeft(s) > 0:
		return infer.PhasePrefill
	}
	return infer.PhaseDecode
}

// notePhases takes note of what all active requests are at. moving says that one of them
// gets on without a step.
func (l *loop) notePhases(now time.Time) (changed, moving bool) {
	for _, s := range l.active {
		changed = s.enter(l.phaseOf(s), now) || changed
		moving = moving || s.phase == infer.PhaseRestoring
	}
	return changed, moving
}

// doings says what the requests are at: see wire.Pulse. It is made for pulses only, not for
// each step.
func (l *loop) doings() []wire.Doing {
	if len(l.active)+len(l.waiting) == 0 {
		return nil
	}
	all := make([]wire.Doing, 0, len(l.active)+min(len(l.waiting), wire.PulseWaiting))
	for _, s := range l.active {
		d := s.doing()
		d.Prefilled, d.Completed = s.prefilled, s.completed
		d.Cached = max(0, min(l.evaluated(s), d.Prompt)-s.prefilled)
		if s.follows {
			d.Reason = infer.WaitFollows
			d.Follows, d.Common = l.leader(s)
		}
		all = append(all, d)
	}
	for n, i := range l.turns() {
		if n == wire.PulseWaiting {
			break
		}
		j := l.waiting[i]
		d := j.doing()
		switch {
		case j.paused != nil:
			d.Reason, d.Prefilled, d.Completed = infer.WaitPaused, j.paused.prefilled, j.paused.completed
			if d.Completed > 0 {
				d.Cached = max(0, d.Prompt-d.Prefilled)
			}
		case len(l.active) >= l.sizes.sequences:
			d.Reason = infer.WaitSequences
		case n == 0:
			d.Reason = infer.WaitCells
		default:
			d.Reason = infer.WaitQueue
		}
		if n == 0 && len(l.active) < l.sizes.sequences {
			d.Cells, d.Room = j.wants, j.has
		}
		all = append(all, d)
	}
	return all
}

// doing is what is known of a job wherever it is.
func (j *job) doing() wire.Doing {
	d := wire.Doing{ID: j.id, Agent: j.agent, Phase: infer.PhaseWaiting, Prompt: j.promptTokens()}
	if j.phase != "" {
		d.Phase, d.Since = j.phase, j.since.UnixMilli()
	}
	return d
}

// turns is the order in which those that wait get their turn, as bind has it.
func (l *loop) turns() []int {
	if len(l.waiting) == 0 {
		return nil
	}
	return sched.Turns(l.candidates(), l.atWork())
}

// leader is the request that computes the longest beginning for s, too.
func (l *loop) leader(s *sequence) (id string, common int) {
	for o, n := range s.common {
		if n > common && l.leads(o, s, n) {
			id, common = o.id, n
		}
	}
	return id, common
}
