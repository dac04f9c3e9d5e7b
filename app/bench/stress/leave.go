package stress

import (
	"context"
	"sync"
	"time"
)

// Clients come within arrivals, and leave after at most stay.
const (
	arrivals = 2 * time.Second
	stay     = 4 * time.Second
	// hasty clients leave before an answer can begin.
	hasty = 30 * time.Millisecond
)

// disconnect plays clients that hang up. When each comes and leaves is drawn
// before the first one comes, so that a seed makes the same ones again.
func disconnect(ctx context.Context, r *run) error {
	type client struct {
		comes time.Duration
		ask   Ask
	}
	clients := make([]client, r.Size.Leavers)
	for i := range clients {
		a := r.say("leaving", i)
		switch r.rng.IntN(3) {
		case 0:
			a.Leave = time.Duration(1 + r.rng.Int64N(int64(hasty)))
		case 1:
			a.Leave = time.Duration(1 + r.rng.Int64N(int64(stay)))
		default:
			after := 1 + r.rng.IntN(max(r.Size.MaxTokens/2, 1))
			a.HangUp = func(pieces int) bool { return pieces >= after }
			a.Leave = stay
		}
		clients[i] = client{time.Duration(r.rng.Int64N(int64(arrivals))), a}
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			if pause(ctx, c.comes) {
				r.ask(ctx, c.ask)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// Whoever comes now must be served as if nothing had happened.
	_, err := r.must(ctx, r.say("after", 0))
	return err
}

// Slow readers take a few hundred bytes in each pause, and leave when they have
// been in the way for long enough.
const (
	slowPause = 200 * time.Millisecond
	slowStay  = 8 * time.Second
	// slowAnswers is how much longer than an ordinary answer theirs is.
	slowAnswers = 8
)

func slowReaders(ctx context.Context, r *run) error {
	var slow sync.WaitGroup
	for i := range r.Size.SlowReaders {
		a := r.say("slow", i)
		a.MaxTokens *= slowAnswers
		a.Pause, a.Leave, a.Expendable = slowPause, slowStay, true
		slow.Go(func() { r.ask(ctx, a) })
	}
	stop := r.keepBusy(ctx, r.Size.Load, func(c, i int) Ask { return r.say("beside", c*1000+i) })
	slow.Wait()
	stop()
	return nil
}
