package stress

import (
	"context"
	"fmt"
	"time"
)

// mixed measures what a long prefill does to its neighbours. First the long
// prompt and the short one alone: first come, first served would make the short
// request wait for what is left of the long prefill. Then both beside streams.
func mixed(ctx context.Context, r *run) error {
	long, err := r.longPrompt(ctx)
	if err != nil {
		return err
	}
	r.Progress("the short request alone")
	shortAlone, err := r.must(ctx, r.short("short alone"))
	if err != nil {
		return err
	}
	r.Progress("the long prompt alone")
	longAlone, err := r.must(ctx, r.long("long alone", long("A")))
	if err != nil {
		return err
	}

	r.Progress("both, beside decoding streams")
	stop := r.keepBusy(ctx, r.Size.Decoding, func(c, i int) Ask {
		a := r.say("decoding", c*100+i)
		a.Keep = true
		return a
	})
	defer stop()
	if !r.decoding(ctx) {
		return context.Cause(ctx)
	}
	longEnded := make(chan *Sample, 1)
	longBegan := time.Since(r.client.epoch)
	go func() { longEnded <- r.ask(ctx, r.long("long", long("B"))) }()
	// The short one comes when a tenth of the long prefill is done.
	pause(ctx, longAlone.TTFT/10)
	shortBegan := time.Since(r.client.epoch)
	short := r.ask(ctx, r.short("short"))
	l := <-longEnded
	stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if l.TTFT == 0 || short.TTFT == 0 {
		r.note("the long request ended as %s, the short one as %s: nothing to compare", l.Outcome(), short.Outcome())
		return nil
	}
	waits := max(longAlone.TTFT-(shortBegan-longBegan), 0) + shortAlone.TTFT
	if longAlone.TTFT >= judgeable {
		r.metrics[ShortTTFT] = 100 * short.TTFT.Seconds() / waits.Seconds()
	}
	gaps := newLatencies()
	for _, s := range r.rec.in("decoding") {
		for i := 1; i < len(s.Times); i++ {
			// Gaps that lie in the long prefill, wholly or in part.
			if s.Times[i] > l.Start && s.Times[i-1] < l.Start+l.TTFT {
				gaps.add(s.Times[i] - s.Times[i-1])
			}
		}
	}
	q := gaps.quantiles()
	if q.Count > 0 {
		r.metrics[MixedITL] = q.P99
	}
	r.note("long prompt: %d tokens, TTFT %.2f s alone, %.2f s beside the others; short: TTFT %.2f s, first come first served would give %.2f s; %d gaps between tokens during the prefill, p50 %.0f ms, p95 %.0f ms, longest %.0f ms",
		longAlone.PromptTokens, longAlone.TTFT.Seconds(), l.TTFT.Seconds(), short.TTFT.Seconds(), waits.Seconds(), q.Count, q.P50, q.P95, q.Max)
	return nil
}

// judgeable is how long a prefill must take for the short request's wait to be
// judged: in a shorter one a few steps of the usual length are most of it.
const judgeable = 4 * time.Second

// tiny is an answer that shows when the first token came, and hardly more.
const tiny = 8

func (r *run) short(group string) Ask {
	a := r.say(group, 0)
	a.MaxTokens, a.Timeout = tiny, r.Size.LongTimeout
	return a
}

func (r *run) long(group, prompt string) Ask {
	return Ask{Group: group, Turns: []Turn{{"user", prompt}}, MaxTokens: tiny, Timeout: r.Size.LongTimeout, Patient: true}
}

// decoding waits until streams have answered so many requests that all surely
// have begun. It says whether that came to pass.
func (r *run) decoding(ctx context.Context) bool {
	for ctx.Err() == nil {
		if len(r.rec.in("decoding")) >= r.Size.Decoding {
			return true
		}
		pause(ctx, probeEvery)
	}
	return false
}

// longPrompt learns how many tokens a line has, and returns a function that
// makes prompts of the wanted length which differ from their first line on.
func (r *run) longPrompt(ctx context.Context) (func(mark string) string, error) {
	const probeLines = 40
	one, err := r.must(ctx, Ask{Group: "probe", Turns: []Turn{{"user", r.lines("P", 1)}}, MaxTokens: tiny})
	if err != nil {
		return nil, err
	}
	many, err := r.must(ctx, Ask{Group: "probe", Turns: []Turn{{"user", r.lines("P", probeLines)}}, MaxTokens: tiny})
	if err != nil {
		return nil, err
	}
	perLine := float64(many.PromptTokens-one.PromptTokens) / (probeLines - 1)
	if perLine <= 0 {
		return nil, fmt.Errorf("the endpoint does not say how many tokens a prompt has, so none of %d can be made", r.Size.LongPrompt)
	}
	tokens := r.Size.LongPrompt
	if h, err := r.watcher.health(ctx); err == nil && h.Model.ContextTokens > 0 {
		const answer = 64
		if most := h.Model.ContextTokens - answer - one.PromptTokens; most < tokens {
			r.note("the model's context holds %d tokens, so the long prompt is shorter than %d", h.Model.ContextTokens, tokens)
			tokens = most
		}
	}
	n := max(int(float64(tokens)/perLine), 1)
	return func(mark string) string { return r.lines(mark, n) }, nil
}
