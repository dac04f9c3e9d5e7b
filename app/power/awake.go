package power

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// usualLinger: an agent that runs a tool is back within seconds, and a process for
	// each of its requests would be a waste. Systems that sleep do so after minutes.
	usualLinger = 30 * time.Second

	// A helper that ends by itself is started again after a pause, which doubles; one
	// that ran for steady is taken for a good one that was killed.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	steady       = time.Minute
)

// errEnded is a helper that ended as if it had been told to.
var errEnded = errors.New("it ended by itself")

// AwakeOptions are an Awake's. What is left out is this machine's, or usual.
type AwakeOptions struct {
	// Run keeps the machine awake until the context ends or it can't any longer, and
	// returns only when nothing of it is left. After an errors.ErrUnsupported it isn't
	// called again.
	Run func(context.Context) error
	// Linger is how long the machine is still kept awake after Keep(false), 30 s.
	Linger time.Duration
	// OnProblem is told, from another goroutine, that the machine may go to sleep, and
	// why: once where it can't be kept awake at all, else at the first of several
	// failures in a row.
	OnProblem func(error)
}

// An Awake keeps the machine from idle sleep while it's asked to. The display may go
// off, and closing the lid is still the user's wish.
type Awake struct {
	o    AwakeOptions
	on   atomic.Bool
	news chan struct{} // on may have changed; the latest wins
	end  context.CancelFunc
	done chan struct{}
}

// OpenAwake starts an Awake, which must be closed. It keeps nothing awake yet.
func OpenAwake(o AwakeOptions) *Awake {
	if o.Run == nil {
		o.Run = stayAwake
	}
	if o.Linger <= 0 {
		o.Linger = usualLinger
	}
	if o.OnProblem == nil {
		o.OnProblem = func(error) {}
	}
	ctx, end := context.WithCancel(context.Background())
	a := &Awake{o: o, news: make(chan struct{}, 1), end: end, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.serve(ctx)
	}()
	return a
}

// Keep says whether the machine is to be kept awake. It may be called as often as one
// likes and never waits.
func (a *Awake) Keep(on bool) {
	if a.on.Swap(on) == on {
		return
	}
	select {
	case a.news <- struct{}{}:
	default: // news of before hasn't been read yet, and the value will be then
	}
}

// Close lets the machine sleep, and returns when the helper is gone.
func (a *Awake) Close() {
	a.end()
	<-a.done
}

// serve starts the helper whenever it's wanted, and again when it ends unwanted.
func (a *Awake) serve(ctx context.Context) {
	pause := firstPause
	for a.wanted(ctx) {
		began := time.Now()
		err := a.run(ctx)
		if time.Since(began) >= steady {
			pause = firstPause
		}
		if err == nil {
			continue
		}
		if pause == firstPause {
			a.o.OnProblem(fmt.Errorf("the machine may go to sleep while it serves: %w", err))
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// wanted waits until the machine is to be kept awake; false if it never will be.
func (a *Awake) wanted(ctx context.Context) bool {
	for !a.on.Load() && ctx.Err() == nil {
		select {
		case <-a.news:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// run has a helper run for as long as one is wanted. An error is the helper's, which
// ended before that.
func (a *Awake) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.o.Run(ctx) }()
	defer stop()

	var enough <-chan time.Time // nil while the helper is wanted
	for {
		select {
		case err := <-ended:
			switch {
			case ctx.Err() != nil:
				return nil
			case err == nil:
				return errEnded
			default:
				return err
			}
		case <-ctx.Done():
			<-ended
			return nil
		case <-enough:
			stop()
			<-ended
			return nil
		case <-a.news:
			switch {
			case a.on.Load():
				enough = nil
			case enough == nil:
				enough = time.After(a.o.Linger)
			}
		}
	}
}
