package download

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// readBytes are read at a time, and written at once.
	readBytes = 256 << 10
	// plenty: a connection that brought as much before it broke is replaced at once.
	plenty = 64 << 10
	// idleTick is how often one that has nothing to do looks whether it can help.
	idleTick = 500 * time.Millisecond
)

// errStalled is a connection over which nothing came for too long.
var errStalled = errors.New("nothing came for too long")

// connect fetches until the file is whole. Then it doesn't matter what became of its last
// connection, nor that ctx has ended: that may be since the file is whole.
func (a *attempt) connect(ctx context.Context) error {
	err := a.transfers(ctx)
	if a.ledger.isFull() {
		return nil
	}
	return err
}

// transfers fetches claims over one connection after the other, until the file is whole.
//
// It gives up after some tries in a row in which nothing new came, to this connection
// or to another: as long as the file grows, it goes on.
func (a *attempt) transfers(ctx context.Context) error {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: a.o.FirstPause, MaxInterval: a.o.LongestPause, Multiplier: 2, RandomizationFactor: 0.5,
	}
	pause.Reset()
	buf := make([]byte, readBytes)
	tries, best := 0, a.ledger.record()
	for !a.ledger.isFull() {
		c := a.ledger.claim()
		if c == nil {
			if err := a.rest(ctx, idleTick); err != nil {
				return err
			}
			continue
		}
		n, err := a.transfer(ctx, c, buf)
		a.ledger.release(c)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		record := a.ledger.record()
		grown := record > best
		if grown {
			tries, best = 0, record
			pause.Reset()
		}
		passes := (*passing)(nil)
		switch {
		case err == nil:
			continue
		case !errors.As(err, &passes):
			return err
		case grown && n >= plenty:
			continue
		}
		if tries++; tries >= a.o.Tries {
			return passes.err
		}
		if err := a.rest(ctx, max(pause.NextBackOff(), min(passes.after, a.o.LongestWait))); err != nil {
			return err
		}
	}
	return nil
}

// rest waits, but not for longer than there is something to be fetched.
func (a *attempt) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.ledger.full:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// transfer asks for a claim and writes what comes of it; n is how much did. Each wait
// for the server is bounded by Options.Stall.
func (a *attempt) transfer(ctx context.Context, c *claim, buf []byte) (n int64, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watch := time.AfterFunc(a.o.Stall, func() { stop(errStalled) })
	defer watch.Stop()
	a.mu.Lock()
	want, mark := a.ask(c), a.mark
	a.mu.Unlock()
	r, err := a.route.ask(ctx, want, mark.condition)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	until, err := a.meet(r, c)
	if err != nil {
		return 0, err
	}
	return a.receive(ctx, body{r, until, watch}, c, buf)
}

// ask is which part to ask for. The lock is held.
func (a *attempt) ask(c *claim) span {
	if a.noRange {
		return span{}
	}
	from, end := a.ledger.bounds(c)
	return span{from, end}
}

// A body is what follows a reply, up to an offset of the file.
type body struct {
	*reply
	until int64
	watch *time.Timer
}

// read reads some of it, as io.Reader does. at is where in the file that is.
func (b body) read(buf []byte, at int64, stall time.Duration) (n int, err error) {
	b.watch.Reset(stall)
	defer b.watch.Stop()
	n, err = b.Body.Read(buf)
	if err == nil && b.ContentLength < 0 && at+int64(n) == b.until {
		// Nothing but the next read tells whether the server keeps its word.
		var beyond [1]byte
		if more, _ := b.Body.Read(beyond[:]); more > 0 {
			return 0, bad(b.StatusCode, "%s sends more of the file than it said.", b.place.url.Host)
		}
	}
	return n, err
}

// receive writes what follows a reply.
func (a *attempt) receive(ctx context.Context, b body, c *claim, buf []byte) (n int64, err error) {
	buf = buf[:a.limit.most(len(buf))]
	at, end := a.ledger.bounds(c)
	for at < end {
		got, readErr := b.read(buf[:min(int64(len(buf)), end-at)], at, a.o.Stall)
		if end == unknownEnd && a.f.Size > 0 && at+int64(got) > a.f.Size {
			return n, bad(b.StatusCode, "%s sends more than the %d bytes that were asked for.", b.place.url.Host, a.f.Size)
		}
		if got > 0 {
			kept, left, err := a.keep(c, buf[:got], at)
			n, at = n+kept, at+kept
			end = at + left
			if err != nil {
				return n, err
			}
		}
		if readErr != nil && at < end {
			return n, a.ended(ctx, b, readErr, at, end)
		}
		if err := a.limit.wait(ctx, got); err != nil {
			return n, unreachable(b.place.url.Host, context.Cause(ctx))
		}
	}
	return n, nil
}

// keep writes what has come for a claim, and what the journal must know of it.
func (a *attempt) keep(c *claim, p []byte, at int64) (kept, left int64, err error) {
	n, err := a.o.writeAt(a.part.file, p, at)
	left, save := a.ledger.add(c, int64(n))
	if err != nil {
		return int64(n), left, onDisk("to write the partial", err)
	}
	if save {
		err = a.save()
	}
	return int64(n), left, err
}

// ended says what the end of an answer means that came before the claim's.
func (a *attempt) ended(ctx context.Context, b body, err error, at, end int64) error {
	host := b.place.url.Host
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if cause := context.Cause(ctx); cause != nil {
		return unreachable(host, cause)
	}
	if !errors.Is(err, io.EOF) {
		return unreachable(host, err)
	}
	if end != unknownEnd {
		return unreachable(host, io.ErrUnexpectedEOF)
	}
	// It was not said where the file ends; now it is.
	if a.f.Size > 0 && at != a.f.Size {
		return &passing{err: bad(b.StatusCode, "%s sends %d bytes, and %d were asked for.", host, at, a.f.Size)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.size = at
	a.ledger.learn(at, true)
	return nil
}
