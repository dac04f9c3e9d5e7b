package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"samovar/engine/internal/wire"
)

// Run is the worker's life: it greets the parent, loads what it is told to and
// serves until in ends (nil), the parent speaks nonsense, or llama.cpp fails
// (an error). A model that cannot be loaded is told to the parent and is no
// error here.
//
// When in ends while the model is loading, Run does not return in time: gone is called,
// for the process's main to leave at once. When it ends later, what is in the pool is
// saved first; gone is called if that takes longer than wire.SaveFor.
func Run(in io.Reader, out io.Writer, gone func()) error {
	box := &outbox{w: out}
	defer box.close()
	box.sendNow(wire.KindHello, wire.Hello{Protocol: wire.Protocol, Build: wire.BuildVersion})

	r := &reader{frames: wire.NewReader(in), answer: box.sendNow, tickets: map[string]*ticket{}}
	var cfg wire.Load
	if f, err := r.frames.Read(); err != nil {
		return ignoreEOF(err)
	} else if f.Kind != wire.KindLoad {
		return fmt.Errorf("%w: the first frame is %s, not load", wire.ErrMalformed, f.Kind)
	} else if err := f.Decode(&cfg); err != nil {
		return err
	}

	// From here on somebody must always be reading, to notice the parent's end.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	readErr := make(chan error, 1)
	ready := make(chan *engine, 1)
	var serving atomic.Bool
	go func() {
		readErr <- r.run(ctx, ready)
		cancel()
		if serving.Load() { // it saves first
			time.AfterFunc(wire.SaveFor, gone)
			return
		}
		gone()
	}()

	eng, failed := load(cfg, box.sendNow)
	if failed != nil {
		box.sendNow(wire.KindFailed, *failed)
		return nil
	}
	eng.connect(box, r.forget)
	if failed := eng.loop.firstCanary(); failed != nil {
		box.sendNow(wire.KindFailed, *failed)
		return nil
	}
	ready <- eng
	serving.Store(true)
	box.sendNow(wire.KindReady, wire.Ready{Model: eng.facts})
	if err := eng.loop.run(ctx); err != nil {
		return err // the process ends; nothing is freed under a preparer's feet
	}
	err := <-readErr
	eng.close()
	return ignoreEOF(err)
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// reader takes the parent's frames. It owns the tickets' map; forget is called
// by the loop.
type reader struct {
	frames *wire.Reader
	answer func(wire.Kind, any)

	mu      sync.Mutex
	tickets map[string]*ticket
}

func (r *reader) run(ctx context.Context, ready <-chan *engine) error {
	var eng *engine
	loaded := func() error {
		if eng != nil {
			return nil
		}
		select {
		case eng = <-ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		f, err := r.frames.Read()
		if err != nil {
			return err
		}
		switch f.Kind {
		case wire.KindSubmit:
			var m wire.Submit
			if err := f.Decode(&m); err != nil {
				return err
			}
			if err := loaded(); err != nil {
				return err
			}
			// The parent bounds how many there are. The reader itself must not
			// wait: cancels and the parent's end come the same way.
			eng.start(ctx, r.ticket(m.Request.ID), m, time.Now())
		case wire.KindCancel:
			var m wire.Cancel
			if err := f.Decode(&m); err != nil {
				return err
			}
			r.cancel(m.ID)
		case wire.KindPing:
			pong := wire.Pong{}
			if eng != nil {
				pong.StepSeconds, pong.Steps = eng.loop.at().Seconds(), eng.loop.stepped.Load()
			}
			r.answer(wire.KindPong, pong)
		case wire.KindMeasure:
			var m wire.Measure
			if err := f.Decode(&m); err != nil {
				return err
			}
			if err := loaded(); err != nil {
				return err
			}
			select {
			case eng.loop.measures <- m:
			case <-ctx.Done():
				return ctx.Err()
			}
		case wire.KindTrim:
			var m wire.Trim
			if err := f.Decode(&m); err != nil {
				return err
			}
			if err := loaded(); err != nil {
				return err
			}
			select {
			case eng.loop.trims <- m:
				eng.loop.poke()
			case <-ctx.Done():
				return ctx.Err()
			}
		case wire.KindQuery:
			var m wire.Query
			if err := f.Decode(&m); err != nil {
				return err
			}
			if err := loaded(); err != nil {
				return err
			}
			select {
			case eng.loop.queries <- m:
				eng.loop.poke()
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return fmt.Errorf("%w: unexpected %s", wire.ErrMalformed, f.Kind)
		}
	}
}

func (r *reader) ticket(id string) *ticket {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &ticket{id: id}
	r.tickets[id] = t
	return t
}

func (r *reader) cancel(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tickets[id]; t != nil {
		t.cancel()
	}
}

func (r *reader) forget(t *ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tickets[t.id] == t {
		delete(r.tickets, t.id)
	}
}
