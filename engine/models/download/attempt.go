package download

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// An attempt makes a partial whole, once. Where the file turns out to be another one
// than the partial's, it ends with errStale or errChanged, and another attempt follows.
type attempt struct {
	o      *Options
	f      File
	route  *route
	part   *partial
	ledger *ledger
	hasher *hasher
	limit  *limiter
	// seek: the file may be at its path already, if its digest is found out.
	seek bool

	mu      sync.Mutex
	met     bool // the server has been asked, and says that it has the file
	ranges  bool // it has sent a range
	noRange bool // it's asked for the file without saying which part
	size    int64
	want    string // the digest; "" while nobody has said it
	mark    identity
	ready   chan struct{} // closed when others may connect
}

func newAttempt(o *Options, f File, r *route, p *partial, limit *limiter) *attempt {
	rec := p.journal.rec
	size := rec.Size
	if f.Size > 0 {
		size = f.Size
	}
	l := newLedger(o, size, append(spans(nil), rec.Done...))
	return &attempt{
		o: o, f: f, route: r, part: p, ledger: l, limit: limit,
		hasher: &hasher{file: p.file, ledger: l},
		size:   size, want: cmp.Or(f.SHA256, rec.SHA256), mark: rec.Mark, ready: make(chan struct{}),
	}
}

// run fetches and hashes. It returns the digest of a file that is whole and synced.
func (a *attempt) run(ctx context.Context) (digest string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	// Who is still connected when all has come, because another was faster, isn't waited
	// for.
	fetching, enough := context.WithCancel(ctx)
	defer enough()
	g.Go(func() error { return a.connect(fetching) })
	g.Go(func() error {
		select {
		case <-a.ready:
		case <-fetching.Done():
			return nil
		}
		for range a.o.Connections - 1 {
			g.Go(func() error { return a.connect(fetching) })
		}
		return nil
	})
	g.Go(func() (err error) {
		digest, err = a.hasher.run(ctx)
		return err
	})
	g.Go(func() error { return a.sync(ctx, enough) })
	err = g.Wait()
	// What came before the end is kept, whatever the end was.
	if saveErr := a.save(); err == nil {
		err = saveErr
	}
	if err != nil {
		return "", err
	}
	if a.want != "" && digest != a.want {
		return "", &wrong{want: a.want, got: digest, resumed: a.part.resumed > 0}
	}
	return digest, nil
}

// sync makes what has come durable: now and then, so that a power cut costs little and
// the end is quick, and at the end.
func (a *attempt) sync(ctx context.Context, enough func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.ledger.aged:
			done, turn := a.ledger.settle()
			if err := a.part.file.Sync(); err != nil {
				return onDisk("to sync the partial", err)
			}
			if _, _, now := a.ledger.ready(); now != turn {
				continue
			}
			if err := a.part.journal.saveSynced(done); err != nil {
				return onDisk("to write the journal", err)
			}
		case <-a.ledger.full:
			enough()
			if err := a.part.file.Sync(); err != nil {
				return onDisk("to sync the partial", err)
			}
			return nil
		}
	}
}

func (a *attempt) save() error {
	if err := a.part.journal.save(a.ledger.snapshot); err != nil {
		return onDisk("to write the journal", err)
	}
	return nil
}

// meet decides whether what follows a reply may be written at the claim's place. It may
// move the claim. until is where what follows ends, as far as it's said. The error is a
// passing one if the same request may do better.
func (a *attempt) meet(r *reply, c *claim) (until int64, err error) {
	if refused(r.StatusCode) || r.StatusCode == http.StatusTooManyRequests {
		return 0, refusal(r, a.f.Token != "", a.o.now())
	}
	host := r.place.url.Host
	is, unclear := read(r)
	switch {
	case unclear != nil:
		return 0, &passing{err: unclear}
	case is.page && !strings.HasSuffix(a.f.Path, ".html"):
		e := bad(is.status, "%s sends a web page instead of the file.", host)
		e.Hint = hintPortal
		return 0, e
	case is.encoding != "" && is.encoding != "identity":
		return 0, bad(is.status, "%s sends the file packed (%s) though it was asked not to.", host, is.encoding)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.met {
		err = a.introduce(r, is, c)
	} else {
		err = a.recognise(r, is, c)
	}
	if err != nil {
		return 0, err
	}
	a.route.settle(r, is.mark.ETag)
	if is.span.to < 0 {
		return unknownEnd, nil
	}
	return is.span.to, nil
}

// introduce takes the first answer: it says what the file is. The lock is held.
func (a *attempt) introduce(r *reply, is answer, c *claim) error {
	host := r.place.url.Host
	if is.status != http.StatusRequestedRangeNotSatisfiable && a.f.Size > 0 && is.total >= 0 && is.total != a.f.Size {
		return bad(is.status, "%s has a file of %d bytes, and one of %d was asked for.", host, is.total, a.f.Size)
	}
	if a.part.resumed > 0 {
		if err := a.resume(r, is); err != nil {
			return err
		}
	}
	switch is.status {
	case http.StatusPartialContent:
		if is.total < 0 {
			is.total = a.size
		}
		if a.noRange || is.total < 0 {
			return &passing{err: bad(is.status, "%s sends a part of the file and doesn't say how large that is.", host)}
		}
	case http.StatusOK:
		if !is.framed && a.f.Size == 0 && a.want == "" {
			return bad(is.status, "%s doesn't say how large the file is, so that nobody could tell whether all of it came.", host)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if a.noRange {
			return bad(is.status, "%s refuses to send the file (%d).", host, is.status)
		}
		a.noRange = true // a server may say this of an empty file
		return &passing{err: bad(is.status, "%s refuses to send a part of the file.", host)}
	default:
		return bad(is.status, "%s answers %d and sends no file.", host, is.status)
	}
	if err := a.expect(r, is); err != nil {
		return err
	}
	if err := a.room(is.total); err != nil {
		return err
	}
	return a.begin(is, c)
}

// resume checks the first answer against the partial: the error is errStale if it is of
// another file, and that only if the server says so. A partial may be days of work. The
// lock is held.
func (a *attempt) resume(r *reply, is answer) error {
	otherSize := is.total >= 0 && a.size >= 0 && is.total != a.size
	switch {
	case !a.mark.same(is.mark, ""):
		return errStale
	case is.status == http.StatusPartialContent && !otherSize:
		return nil
	case is.status == http.StatusOK && is.total >= 0 && is.total == a.size:
		return errStale // the same, but it can't be resumed
	case is.status != http.StatusOK && otherSize:
		return errStale
	default:
		return &passing{err: bad(is.status, "%s sends something else than the rest of the file (%d).", r.place.url.Host, is.status)}
	}
}

// expect finds out which digest is right. The lock is held.
func (a *attempt) expect(r *reply, is answer) error {
	linked := digestIn(r.linked)
	if a.f.SHA256 != "" && linked != "" && linked != a.f.SHA256 {
		return &Error{Kind: WrongDigest, Err: &wrong{want: a.f.SHA256, got: linked},
			Message: "The server has another file now: its SHA-256 should be " + a.f.SHA256 + " and is " + linked + ".",
			Hint:    "Look the model up anew.",
		}
	}
	if a.f.SHA256 != "" {
		return nil
	}
	told := linked
	if told == "" && r.linked == "" && r.direct {
		told = digestIn(is.mark.ETag)
	}
	a.want = told
	if told != "" && a.seek {
		return &here{digest: told}
	}
	return nil
}

// room checks that the disk has room for what is missing. The lock is held.
func (a *attempt) room(total int64) error {
	size := max(total, a.f.Size)
	if size <= 0 {
		return nil
	}
	free, err := a.o.free(a.o.Parts)
	if err != nil {
		return onDisk("to say how much room it has", err)
	}
	have, _ := a.ledger.state()
	if need := size - have; free < need {
		return noSpace(a.o.Parts, need, free)
	}
	return nil
}

// begin sets what is known of the file. The lock is held.
func (a *attempt) begin(is answer, c *claim) error {
	a.ranges = is.status == http.StatusPartialContent
	a.size = is.total
	linked := a.mark.Linked
	a.mark = is.mark
	a.mark.Linked = cmp.Or(is.mark.Linked, linked)
	a.ledger.learn(a.size, !a.ranges)
	if a.ranges {
		if err := a.fits(is, c); err != nil {
			return err
		}
	}
	a.part.journal.begin(record{
		Path: a.f.Path, URL: public(a.f.URL), Size: a.size, SHA256: a.want, Mark: a.mark, Boot: bootID(),
	})
	if err := a.save(); err != nil {
		return err
	}
	a.met = true
	if a.ranges {
		close(a.ready)
	}
	return nil
}

// fits checks that a 206 begins where a claim does. It may end sooner. The lock is held.
func (a *attempt) fits(is answer, c *claim) error {
	at, _ := a.ledger.bounds(c)
	if is.span.from != at || is.length >= 0 && is.length != is.span.len() {
		return &passing{err: bad(is.status, "The server sends another part of the file than it was asked for.")}
	}
	a.ledger.shorten(c, is.span.to)
	return nil
}

// recognise takes a later answer: it must be of the same file. The error is errChanged
// if the server says that it's another one. The lock is held.
func (a *attempt) recognise(r *reply, is answer, c *claim) error {
	at := ""
	if !r.fresh {
		at = r.place.etag
	}
	otherSize := is.total >= 0 && a.size >= 0 && is.total != a.size
	switch {
	case !a.mark.same(is.mark, at):
		return errChanged
	case is.status == http.StatusPartialContent && !otherSize:
		return a.fits(is, c)
	case is.status == http.StatusOK && !a.ranges && !otherSize:
		// It has no ranges, and sends the file from the start.
		a.ledger.restart(c)
		a.part.journal.forgetSynced()
		return a.save()
	case otherSize && (is.status != http.StatusOK || !a.ranges):
		return errChanged
	default:
		return &passing{err: bad(is.status, "%s doesn't send parts of the file any longer (%d).", r.place.url.Host, is.status)}
	}
}

// state is how far the attempt is. When all has come, it's the hasher that counts.
func (a *attempt) state() (done, total int64, verifying bool) {
	done, total = a.ledger.state()
	if a.ledger.isFull() {
		return a.hasher.done.Load(), total, true
	}
	return done, max(total, 0), false
}
