package engine

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// Progress returns how far each request is that has not ended, in order of arrival. It
// never blocks on the worker.
func (e *Engine) Progress() []infer.Progress {
	now := time.Now()
	e.mu.Lock()
	why := e.absence(now)
	e.mu.Unlock()
	return e.roster.progressOf(now, why)
}

// absence is why there is no worker, and for how long still; 0 is unknown.
type absence struct {
	reason infer.WaitReason
	text   string
	left   time.Duration
}

// absence says why requests would wait that no worker has. The lock is held.
func (e *Engine) absence(now time.Time) absence {
	s := e.status
	left := s.LoadTime
	if !e.loads.IsZero() {
		left = max(0, s.LoadTime-now.Sub(e.loads))
	}
	switch {
	case e.asking && e.squeezed != "":
		return absence{infer.WaitRoom, "Its model waits until there is room in memory. " + e.squeezed, 0}
	case e.asking:
		return absence{infer.WaitRoom, "Its model waits until there is room in memory.", 0}
	case s.State == infer.StateDraining:
		return absence{infer.WaitRoom, "Its model leaves memory, and is loaded again for it as soon as there is room.", 0}
	case e.replaced != "":
		return absence{infer.WaitRestart, e.replaced, left}
	case s.State == infer.StateStarting && s.Progress > 0 && s.Progress < 1:
		return absence{infer.WaitLoading, fmt.Sprintf("Its model is being loaded: %.0f %%.", 100*s.Progress), left}
	default:
		return absence{infer.WaitLoading, "Its model is being loaded.", left}
	}
}

// progressOf returns how far each request is; why is for those that wait for a worker.
func (r *roster) progressOf(now time.Time, why absence) []infer.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.streams) == 0 {
		return nil
	}
	told, turn := r.told()
	waits, left := map[string]time.Duration{}, time.Duration(0)
	if r.link == nil {
		left = why.left
	}
	if r.link != nil || left > 0 {
		waits = r.gate.Waits(now)
	}
	all, waiting := make([]infer.Progress, 0, len(r.streams)), 0
	for _, s := range r.inOrder() {
		p := infer.Progress{ID: s.id, Agent: s.request.Agent, Phase: infer.PhaseWaiting, Since: s.since, PromptTokens: s.prompt, CompletionTokens: len(s.said)}
		d, known := told[s.id]
		known = known && s.submitted
		if known {
			fromWorker(&p, d)
		}
		// The worker tells now and then, but each token at once.
		if s.delivered && s.submitted && s.first.After(p.Since) {
			p.Phase, p.Since = infer.PhaseDecode, s.first
		}
		if p.Phase == infer.PhaseWaiting {
			ahead := waiting
			waiting++
			switch {
			case r.link == nil:
				p.Wait = &infer.Wait{Reason: why.reason, Text: why.text, Ahead: &ahead}
			case known:
				p.Wait = r.waitOf(d, turn[s.id])
			default:
				p.Wait = &infer.Wait{Reason: infer.WaitQueue, Text: r.unheard(s), Ahead: &ahead}
			}
			if p.Wait.Reason != infer.WaitFollows {
				p.Wait.EstimateMS = float64(max(waits[s.id], left).Milliseconds())
			}
		}
		all = append(all, p)
	}
	return all
}

// told is what the worker said of its requests last, and which turn those have that wait.
// The lock is held.
func (r *roster) told() (doings map[string]wire.Doing, turn map[string]int) {
	doings, turn = make(map[string]wire.Doing, len(r.pulse.Requests)), map[string]int{}
	for _, d := range r.pulse.Requests {
		doings[d.ID] = d
		if d.Phase == infer.PhaseWaiting && d.Reason != infer.WaitFollows {
			turn[d.ID] = len(turn)
		}
	}
	return doings, turn
}

func fromWorker(p *infer.Progress, d wire.Doing) {
	p.Phase = d.Phase
	if d.Since > 0 {
		p.Since = time.UnixMilli(d.Since)
	}
	p.Agent = cmp.Or(d.Agent, p.Agent)
	p.PromptTokens, p.CachedTokens, p.PrefilledTokens = d.Prompt, d.Cached, d.Prefilled
	p.CompletionTokens = max(p.CompletionTokens, d.Completed)
}

// unheard says why a request waits that the worker has not told of. The lock is held.
func (r *roster) unheard(s *stream) string {
	switch {
	case !s.submitted:
		return "Waits until a request has been tried alone that may have brought the engine down."
	case r.sequences > 0 && r.pulse.Active >= r.sequences:
		return fmt.Sprintf("All %d places are taken.", r.sequences)
	default:
		return "Waits for its turn."
	}
}

// waitOf says why a request waits that the worker has; ahead have their turn before it.
// The lock is held.
func (r *roster) waitOf(d wire.Doing, ahead int) *infer.Wait {
	w := &infer.Wait{Reason: d.Reason, Ahead: &ahead}
	switch d.Reason {
	case infer.WaitSequences:
		w.Text = fmt.Sprintf("All %d places are taken; %s.", r.sequences, before(ahead))
	case infer.WaitCells:
		w.Text = r.scarce("Waits for", d)
	case infer.WaitPaused:
		w.Text = "Made room for an older request; " + before(ahead) + "."
		if d.Cells > 0 {
			w.Text = r.scarce("Made room for an older request, and waits for", d)
		}
	case infer.WaitFollows:
		w.Ahead = nil
		w.Text = fmt.Sprintf("Waits for %s, which computes the same first %s.", r.requestOf(d.Follows), plural(d.Common, "token"))
	default:
		w.Reason, w.Text = infer.WaitQueue, fmt.Sprintf("Waits for its turn; %s.", before(ahead))
	}
	return w
}

// scarce says that a request waits for cells, and who uses the most. The lock is held.
func (r *roster) scarce(waits string, d wire.Doing) string {
	used := min(r.cells, max(0, r.cells-d.Room))
	text := fmt.Sprintf("%s room for %s; %s of %s are in use", waits, plural(d.Cells, "token"), humanize.Comma(int64(used)), humanize.Comma(int64(r.cells)))
	most := infer.PoolSequence{}
	for _, s := range r.pulse.Pool.Sequences {
		if s.Active && s.Tokens > most.Tokens {
			most = s
		}
	}
	if most.Tokens == 0 {
		return text + "."
	}
	whose := "another request"
	if most.Agent != "" {
		whose = "agent " + most.Agent
	}
	return fmt.Sprintf("%s, the most by %s (%s).", text, whose, humanize.Comma(int64(most.Tokens)))
}

// requestOf names a request by its agent, if that is known. The lock is held.
func (r *roster) requestOf(id string) string {
	for _, d := range r.pulse.Requests {
		if d.ID == id && d.Agent != "" {
			return "agent " + d.Agent
		}
	}
	return "another request"
}

func before(ahead int) string {
	switch ahead {
	case 0:
		return "it is the next"
	case 1:
		return "1 request is ahead"
	}
	return fmt.Sprintf("%s requests are ahead", humanize.Comma(int64(ahead)))
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return humanize.Comma(int64(n)) + " " + what
}

// waits says whether requests are there, whether or not there is a worker, and when one
// was last.
func (r *roster) waits() (any bool, used time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.streams) > 0, r.used
}

// busy says whether the worker has a request.
func (r *roster) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.streams {
		if s.submitted {
			return true
		}
	}
	return false
}

// progressed returns a number that grows whenever something comes of requests.
func (r *roster) progressed() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// fill adds to a status what the roster knows. What the worker does not know of
// yet, or tokenises, counts as queued.
func (r *roster) fill(s *infer.Status, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Used = r.used
	s.Active = min(r.pulse.Active, len(r.streams))
	s.Queued = len(r.streams) - s.Active
	s.EstimatedWait = r.gate.Wait(now)
	s.Sheds = maps.Clone(r.gate.Sheds())
	s.Pool = r.pulse.Pool
	s.Steps = r.steps.Plus(r.pulse.Steps)
	s.Kept, s.Health = r.pulse.Kept, r.pulse.Health
}
