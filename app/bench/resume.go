package bench

import (
	"context"
	"errors"
	"fmt"

	"samovar/engine/infer"
)

// Ending is a way for KV to leave the pool.
type Ending string

// The endings, in the order in which Resume measures them.
const (
	// Hot did not leave at all.
	Hot Ending = "hot"
	// Evicted made room for others; the worker lives on.
	Evicted Ending = "evicted"
	// Killed is kill -9 of the worker, Restarted a clean end and a new start.
	Killed Ending = "killed"
	// Unloaded is a stop of the engine, and its start.
	Unloaded  Ending = "unloaded"
	Restarted Ending = "restarted"
	// Dropped is Restarted with the files no longer in the system's page cache.
	Dropped Ending = "dropped"
)

// ResumeConfig says what Resume measures.
type ResumeConfig struct {
	// Lengths are about how many tokens the prompts have; Rounds is how often each
	// comes back after each ending.
	Lengths  []int
	Rounds   int
	Progress func(what string)
	// Serve serves while use runs. What one call kept, the next finds.
	Serve func(ctx context.Context, use func(ResumeServer) error) error
}

// ResumeServer is a ready server with nothing else to do.
type ResumeServer struct {
	BaseURL string
	Status  func() infer.Status
	// Evict empties the pool. Kill ends the worker as kill -9 does, Unload lets it save
	// and leave; both return when the next one is ready.
	Evict, Kill, Unload func(ctx context.Context) error
	// Drop lets the system's page cache forget the kept files; nil where that cannot be.
	Drop func(ctx context.Context) error
}

// ResumeResult is what Resume measured.
type ResumeResult struct {
	Rounds  int            `json:"rounds"`
	Lengths []ResumeLength `json:"lengths"`
	// KVBytes is the size of what was saved in the pool, WrittenBytes that of the files
	// it became, at the first server.
	KVBytes      uint64  `json:"kv_bytes"`
	WrittenBytes uint64  `json:"written_bytes"`
	WrittenRatio float64 `json:"written_to_kv"`
	// Disproved counts restored states that were wrong.
	Disproved uint64 `json:"disproved"`
}

// ResumeLength is one prompt, computed once and then resumed. Times to the first token
// are in milliseconds, by the client's clock; loading a model is no part of them.
type ResumeLength struct {
	PromptTokens int            `json:"prompt_tokens"`
	Cold         float64        `json:"cold_ttft_ms"`
	Resumed      []ResumeEnding `json:"resumed"`
}

// ResumeEnding is how a prompt came back after one ending.
type ResumeEnding struct {
	Ending Ending    `json:"ending"`
	TTFT   Quantiles `json:"ttft"`
	// Ratio is cold ÷ median.
	Ratio float64 `json:"cold_to_resumed"`
	// Second is the median time to the second token. The first may come from logits that
	// were kept; the second needs the KV, back in the pool and proven.
	Second float64 `json:"second_token_ms"`
	// Where the time went, as the server says: medians in milliseconds.
	Queue   float64 `json:"queue_ms"`
	Restore float64 `json:"restore_ms"`
	Prefill float64 `json:"prefill_ms"`
	// LeastCached is the fewest prompt tokens that were reused, in any round.
	LeastCached int `json:"least_cached_tokens"`
	all         []streamed
}

// sum works out what is told of all rounds.
func (e *ResumeEnding) sum(cold float64) {
	part := func(name string) float64 {
		var all []float64
		for _, s := range e.all {
			all = append(all, s.server[name])
		}
		return median(all)
	}
	var times, seconds []float64
	for _, s := range e.all {
		times, seconds = append(times, s.firstToken()), append(seconds, millis(s.closed.Sub(s.start)))
	}
	e.Second = median(seconds)
	e.TTFT, e.Ratio = quantiles(times), cold/median(times)
	e.Queue, e.Restore, e.Prefill = part("queue"), part("restore"), part("prefill")
}

// Resume measures what it costs to come back to a prompt after everything that may have
// happened to its KV meanwhile.
func Resume(ctx context.Context, c ResumeConfig) (ResumeResult, error) {
	m := resuming{ResumeConfig: c, texts: make([]string, len(c.Lengths)), result: ResumeResult{Rounds: c.Rounds, Lengths: make([]ResumeLength, len(c.Lengths))}}
	if err := c.Serve(ctx, func(s ResumeServer) error { return m.first(ctx, s) }); err != nil {
		return m.result, err
	}
	for round := range c.Rounds {
		c.Progress(fmt.Sprintf("after a restart: round %d of %d", round+1, c.Rounds))
		if err := c.Serve(ctx, func(s ResumeServer) error { return m.comeBack(ctx, s, Restarted, s.Evict) }); err != nil {
			return m.result, err
		}
	}
	err := c.Serve(ctx, func(s ResumeServer) error {
		if s.Drop == nil {
			return nil
		}
		for round := range c.Rounds {
			c.Progress(fmt.Sprintf("%s: round %d of %d", Dropped, round+1, c.Rounds))
			empty := func(ctx context.Context) error { return errors.Join(s.Evict(ctx), s.Drop(ctx)) }
			if err := m.comeBack(ctx, s, Dropped, empty); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return m.result, err
	}
	for i := range m.result.Lengths {
		l := &m.result.Lengths[i]
		for j := range l.Resumed {
			l.Resumed[j].sum(l.Cold)
		}
	}
	return m.result, nil
}

// resuming is a Resume that goes on.
type resuming struct {
	ResumeConfig
	texts  []string
	result ResumeResult
}

// first computes the prompts, and measures what needs no second server.
func (m *resuming) first(ctx context.Context, s ResumeServer) error {
	before := s.Status()
	for i, tokens := range m.Lengths {
		m.Progress(fmt.Sprintf("cold: about %d tokens", tokens))
		text, err := words(ctx, s.BaseURL, fmt.Sprintf("Prompt %d.", i), tokens)
		if err != nil {
			return err
		}
		m.texts[i] = text
		if err := s.Evict(ctx); err != nil { // what is in the pool besides costs every step
			return err
		}
		got, err := stream(ctx, s.BaseURL, text, resumeAnswer)
		if err != nil {
			return err
		}
		m.result.Lengths[i].PromptTokens, m.result.Lengths[i].Cold = got.prompt, got.firstToken()
		// Right after it, while nothing has had reason to make it leave.
		for range m.Rounds {
			if err := m.ask(ctx, s, i, Hot, nil); err != nil {
				return err
			}
		}
	}
	// From here on the measured prompts are on disk.
	if err := s.Evict(ctx); err != nil {
		return err
	}
	if err := s.saved(ctx); err != nil {
		return err
	}
	kept := s.Status().Kept
	cell := uint64(s.Status().Model.CellBytes)
	m.result.KVBytes = (kept.SavedTokens - before.Kept.SavedTokens) * cell
	m.result.WrittenBytes = kept.WrittenBytes - before.Kept.WrittenBytes
	if m.result.KVBytes > 0 {
		m.result.WrittenRatio = float64(m.result.WrittenBytes) / float64(m.result.KVBytes)
	}
	for _, e := range []struct {
		name Ending
		by   func(context.Context) error
		each bool
	}{{Evicted, s.Evict, true}, {Killed, s.Kill, false}, {Unloaded, s.Unload, false}} {
		rounds := m.Rounds
		if e.name == Killed {
			rounds = min(rounds, mostKills)
		}
		for round := range rounds {
			m.Progress(fmt.Sprintf("%s: round %d of %d", e.name, round+1, rounds))
			if !e.each { // once for all prompts: each is a whole load
				if err := e.by(ctx); err != nil {
					return err
				}
			}
			if err := m.comeBack(ctx, s, e.name, s.Evict); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostKills is how often a worker may be killed in a while; more, and its supervisor
// gives it up.
const mostKills = 6

// resumeAnswer is how many tokens an answer has: see ResumeEnding.Second.
const resumeAnswer = 2

// comeBack asks for all prompts again, each after the ending: at least an eviction of
// what else is in the pool.
func (m *resuming) comeBack(ctx context.Context, s ResumeServer, name Ending, ending func(context.Context) error) error {
	// A connection, a template and the like are made once, and no part of what counts.
	if _, err := stream(ctx, s.BaseURL, "Hello", resumeAnswer); err != nil {
		return err
	}
	for i := range m.texts {
		if err := m.ask(ctx, s, i, name, ending); err != nil {
			return err
		}
	}
	m.result.Disproved = max(m.result.Disproved, s.Status().Kept.Disproved)
	return s.saved(ctx)
}

func (m *resuming) ask(ctx context.Context, s ResumeServer, i int, name Ending, ending func(context.Context) error) error {
	if ending != nil {
		if err := ending(ctx); err != nil {
			return err
		}
		if err := s.saved(ctx); err != nil {
			return err
		}
	}
	got, err := stream(ctx, s.BaseURL, m.texts[i], resumeAnswer)
	if err != nil {
		return err
	}
	l := &m.result.Lengths[i]
	if n := len(l.Resumed); n == 0 || l.Resumed[n-1].Ending != name {
		l.Resumed = append(l.Resumed, ResumeEnding{Ending: name, LeastCached: got.cached})
	}
	e := &l.Resumed[len(l.Resumed)-1]
	e.all = append(e.all, got)
	e.LeastCached = min(e.LeastCached, got.cached)
	return nil
}

// saved waits until nothing waits to be written.
func (s ResumeServer) saved(ctx context.Context) error {
	return until(ctx, s.Status, func(st infer.Status) bool { return st.Active == 0 && st.Kept.QueueBytes == 0 })
}
