package latency

import (
	"slices"
	"time"

	"samovar/engine/infer"
)

// Learn takes what the engine says of the requests that run: all of them. Those that it
// does not know have not reached it, or have left it.
func (t *Tracker) Learn(all []infer.Progress) {
	byID := make(map[string]infer.Progress, len(all))
	for _, p := range all {
		byID[p.ID] = p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := range t.running {
		r.progress = byID[r.record.key()]
	}
}

// Running returns the records of the requests that run, the oldest first, at most so many
// of them, and how many there are.
func (t *Tracker) Running(most int) (records []Record, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Request, 0, len(t.running))
	for r := range t.running {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Request) int { return a.record.Arrived.Compare(b.record.Arrived) })
	records = make([]Record, min(most, len(all)))
	for i := range records {
		records[i] = all[i].view()
	}
	return records, len(all)
}

// key is by which the engine knows the request.
func (s Start) key() string {
	if s.Key != "" {
		return s.Key
	}
	return s.ID
}

// view is the record as it is to be seen. While the request runs it says what it is at,
// which the engine knows, or, where the engine is behind, we. The lock is held.
func (r *Request) view() Record {
	rec, p := r.record, r.progress
	if rec.Outcome != Running {
		return rec
	}
	switch {
	case !r.first.IsZero() && p.Phase != infer.PhaseDecode && !p.Since.After(r.first):
		p.Phase, p.Since, p.Wait = infer.PhaseDecode, r.first, nil
	case p.Phase == "":
		p.Phase, p.Since = infer.PhaseWaiting, rec.Arrived
		p.Wait = &infer.Wait{Reason: infer.WaitQueue, Text: "Has just come in."}
	}
	rec.Phase, rec.PhaseSince, rec.Wait = p.Phase, p.Since.Truncate(time.Millisecond), p.Wait
	if p.Agent != "" {
		rec.Agent = p.Agent
	}
	rec.PromptTokens, rec.CachedTokens, rec.PrefilledTokens = p.PromptTokens, p.CachedTokens, p.PrefilledTokens
	rec.CompletionTokens = max(rec.CompletionTokens, p.CompletionTokens)
	return rec
}
