package worker

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/prompt"
)

// ticket is a request's life in the worker, shared between the reader, which
// may cancel it, and the loop.
type ticket struct {
	id        string
	cancelled atomic.Bool
	// onCancel is told of a cancel; nil until the loop can be.
	onCancel func(*ticket)
	// stopPreparing ends what goes on before the loop has it; only the reader
	// cancels, and only the reader sets it.
	stopPreparing context.CancelFunc
}

// cancel ends the request wherever it is.
func (t *ticket) cancel() {
	t.cancelled.Store(true)
	if t.stopPreparing != nil {
		t.stopPreparing()
	}
	if t.onCancel != nil {
		t.onCancel(t)
	}
}

// job is a request made ready for the loop: its prompt is tokens, its limits
// are checked, every choice about sampling is made.
type job struct {
	*ticket
	agent    string
	claim    agents.Claim
	arrived  time.Time
	deadline time.Time // zero: none
	tokens   []llama.Token
	// marks are the positions behind its messages, ascending.
	marks    []int
	stop     []string
	sampling llama.SamplerParams
	// maxTokens bounds the answer; atContext says that it is the context's end
	// that bounds it, not the client's wish.
	maxTokens int
	atContext bool
	// paused is what there is of it already, if it had to make room for others;
	// nil before it was first bound.
	paused *sequence
	// restore brings back what is kept of its prompt; nil if nothing is, or no more.
	restore *restore
	// phase is what it is at, since when; empty while it has been waiting since it came.
	phase infer.Phase
	since time.Time
	// wants is how many cells it lacked when it was its turn last, has how many of them it
	// could have had.
	wants, has int
	// answered is how many of tokens are of its answer: it was paused after them, or
	// they were said by a worker that is gone.
	answered int
	said     []llama.Token
}

// cells is the most KV cells that the job can come to need. The last token of
// the answer is never evaluated.
func (j *job) cells() int { return len(j.tokens) - j.answered + j.maxTokens - 1 }

// room is how many cells the job should have, of which it has evaluated so many:
// those of its prompt and of the next headroom tokens of its answer.
func (j *job) room(evaluated, headroom int) int {
	return min(j.cells(), max(evaluated, len(j.tokens))+headroom)
}

// goOn has the job go on behind tokens of its answer that its client has already.
func (j *job) goOn(said []llama.Token, context int) *infer.Error {
	if len(said) >= j.maxTokens || len(j.tokens)+len(said) >= context {
		return &infer.Error{Code: infer.CodeInternal, Message: "The answer cannot be gone on with: it is longer than it may be."}
	}
	j.said, j.answered = said, len(said)
	j.tokens = append(j.tokens, said...)
	return nil
}

// sequence is a job that is bound to a sequence of the context. Only the loop
// touches it.
type sequence struct {
	*job
	seq     int
	sampler Sampler
	text    *prompt.TextStream
	// prefilled counts the prompt's tokens that were computed for it; the others
	// were in the pool.
	prefilled int
	// last is the sampled token that the next decode row evaluates.
	last      llama.Token
	completed int
	// repeated is how many tokens the answer begins with that are all the same.
	repeated int
	// over is what became of an answer that ended at once, and began again; nil if it
	// did not. returned says that some of what the sequence holds was on disk.
	over     *over
	returned bool

	// common is how many leading tokens the prompts of others have in common with
	// this one's; follows says that one of them computes them for it, too.
	common  map[*sequence]int
	follows bool

	// proof is what restored state still has to show; restoredIn is how long
	// restoring took.
	proof      *proof
	doubt      *doubt
	restoredIn time.Duration

	// left is when its client was found to have left while its prefill went on.
	left time.Time

	// bound is when it first got a sequence, seated when it got this one.
	bound, seated, evaluatedAt, first time.Time
}

// count takes note of a token of the answer.
func (s *sequence) count(t llama.Token) {
	if s.repeated == s.completed && (s.completed == 0 || t == s.last) {
		s.repeated++
	}
	s.last = t
	s.completed++
}

// close ends what goes on for a waiting job and frees what it holds.
func (j *job) close() {
	j.stopRestore()
	if j.paused != nil {
		j.paused.sampler.Close()
	}
}

// holdable says whether its prefill is worth going on with when its client has left.
func (j *job) holdable() bool { return j.answered == 0 && len(j.tokens) >= holdFrom }

func (j *job) promptTokens() int { return len(j.tokens) - j.answered }

// end builds the last event's facts.
func (s *sequence) end(reason infer.FinishReason, stop string, now time.Time) *infer.End {
	e := &infer.End{
		Reason:     reason,
		StopString: stop,
		Usage:      infer.Usage{PromptTokens: s.promptTokens(), CachedTokens: max(0, s.promptTokens()-s.prefilled), CompletionTokens: s.completed},
		Anatomy:    infer.Anatomy{Queue: s.bound.Sub(s.arrived), Restore: s.restoredIn},
	}
	if !s.first.IsZero() {
		e.Anatomy.Prefill = s.evaluatedAt.Sub(s.bound) - s.restoredIn
		e.Anatomy.TTFT = s.first.Sub(s.arrived)
		e.Anatomy.Decode = now.Sub(s.first)
	}
	return e
}

// Samovar's sampling defaults, used where neither the request nor the model's
// file says otherwise. They are llama.cpp's (common_params_sampling).
var defaultSampling = llama.SamplerParams{
	Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, PenaltyWindow: 64,
}

// choose makes every choice about sampling: the request's, else the base's.
func choose(base llama.SamplerParams, r infer.Sampling) llama.SamplerParams {
	set := func(dst, src *float64) {
		if src != nil {
			*dst = *src
		}
	}
	set(&base.Temperature, r.Temperature)
	set(&base.TopP, r.TopP)
	set(&base.MinP, r.MinP)
	set(&base.RepeatPenalty, r.RepeatPenalty)
	set(&base.FrequencyPenalty, r.FrequencyPenalty)
	set(&base.PresencePenalty, r.PresencePenalty)
	if r.TopK != nil {
		base.TopK = *r.TopK
	}
	if r.Seed != nil {
		base.Seed = *r.Seed
	} else {
		base.Seed = rand.Uint32()
	}
	return base
}

// metaSampling returns the defaults with what the model's own file recommends
// (llama.cpp's general.sampling.* keys). Values that make no sense are left out:
// the requests that meet them are not at fault.
func metaSampling(number func(key string) (float64, bool)) llama.SamplerParams {
	p := defaultSampling
	within := func(key string, least, most float64) (float64, bool) {
		v, ok := number(key)
		return v, ok && v >= least && v <= most
	}
	const positive = 1e-6 // as good as 0, but allowed
	for key, to := range map[string]struct {
		dst         *float64
		least, most float64
	}{
		"general.sampling.temp":           {&p.Temperature, 0, 100},
		"general.sampling.top_p":          {&p.TopP, positive, 1},
		"general.sampling.min_p":          {&p.MinP, 0, 1},
		"general.sampling.penalty_repeat": {&p.RepeatPenalty, positive, 100},
	} {
		if v, ok := within(key, to.least, to.most); ok {
			*to.dst = v
		}
	}
	if v, ok := within("general.sampling.top_k", -1, 1<<31-1); ok {
		p.TopK = int(v)
	}
	if v, ok := within("general.sampling.penalty_last_n", 0, llama.MaxPenaltyWindow); ok {
		p.PenaltyWindow = int(v)
	}
	return p
}
