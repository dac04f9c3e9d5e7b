package download

import (
	"math"
	"sync"
	"time"
)

const (
	// A kill loses what the journal doesn't say yet: of all connections together this,
	// and what each of them has in its buffer.
	unsavedLimit = 256 << 10
	// A power cut loses what was not synced. Syncing more often than this costs speed, and
	// less often leaves more to be synced at the end, which costs as much.
	usualUnsynced = 128 << 20

	// A connection that needs slow for the rest of its claim, and has had it for as
	// long, shares with one that has nothing to do. Less than crumb it gives away.
	slow  = 5 * time.Second
	crumb = 2 << 20

	// unknownEnd is where a claim ends whose file's size isn't known.
	unknownEnd = math.MaxInt64
)

// A ledger knows which bytes of a file have come, and which connection fetches which of
// those that haven't. It hands out the first missing ones, so that what can be hashed
// grows steadily, and less at a time towards the end, so that all end together.
type ledger struct {
	least, most int64 // bytes of a claim
	sharers     int64 // connections
	syncAt      int64 // unsynced bytes
	now         func() time.Time

	mu       sync.Mutex
	size     int64 // -1 while it isn't known
	whole    bool  // one claim from the start: the server has no ranges
	done     spans
	claims   []*claim
	turn     int   // counts restarts
	best     int64 // bytes that have come, before any restart
	unsaved  int64 // bytes that the journal doesn't say yet
	unsynced int64

	moved chan struct{} // the frontier may have moved; the latest wins
	aged  chan struct{} // much is unsynced; the latest wins
	full  chan struct{} // closed when all has come
}

// A claim is bytes [at, end) that a connection fetches. They belong to the ledger.
type claim struct {
	from, at, end int64
	began         time.Time
}

func newLedger(o *Options, size int64, done spans) *ledger {
	l := &ledger{
		least: o.least, most: o.most, syncAt: o.unsynced, sharers: int64(o.Connections), now: o.now,
		size: size, done: done, best: done.sum(),
		moved: make(chan struct{}, 1), aged: make(chan struct{}, 1), full: make(chan struct{}),
	}
	l.check()
	return l
}

// check notices that all has come. The lock is held, or not needed.
func (l *ledger) check() {
	select {
	case <-l.full:
	default:
		if l.size >= 0 && l.done.frontier() == l.size {
			close(l.full)
		}
	}
}

// claim gives a connection something to fetch; nil if there is nothing now.
func (l *ledger) claim() *claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.whole || l.size < 0 {
		if len(l.claims) > 0 || l.size >= 0 && l.done.frontier() == l.size {
			return nil
		}
		from := l.done.frontier()
		if l.size < 0 && !l.whole {
			return l.give(span{from, from + l.least})
		}
		end := l.size
		if end < 0 {
			end = unknownEnd
		}
		return l.give(span{from, end})
	}
	taken := append(spans(nil), l.done...)
	for _, c := range l.claims {
		taken = taken.with(span{c.at, c.end})
	}
	gap := taken.gap(l.size)
	if gap.len() <= 0 {
		return l.share()
	}
	rest := l.size - taken.sum()
	part := min(max(rest/(2*l.sharers), l.least), l.most)
	if gap.len() < part+l.least/2 { // leave no crumbs
		part = min(gap.len(), l.most)
	}
	return l.give(span{gap.from, gap.from + part})
}

func (l *ledger) give(s span) *claim {
	c := &claim{from: s.from, at: s.from, end: s.to, began: l.now()}
	l.claims = append(l.claims, c)
	return c
}

// share takes from the connection that needs longest. The lock is held.
func (l *ledger) share() *claim {
	now := l.now()
	var from *claim
	longest := slow
	for _, c := range l.claims {
		age := now.Sub(c.began)
		if age < slow || c.at >= c.end {
			continue
		}
		speed := max(float64(c.at-c.from)/age.Seconds(), 1)
		if needs := time.Duration(min(float64(c.end-c.at)/speed, 1e6) * float64(time.Second)); needs > longest {
			from, longest = c, needs
		}
	}
	if from == nil {
		return nil
	}
	middle := from.at + (from.end-from.at)/2
	if from.end-from.at <= crumb {
		middle = from.at
	}
	c := l.give(span{middle, from.end})
	from.end = middle
	return c
}

// release ends a claim: what has not come of it is missing again.
func (l *ledger) release(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.claims {
		if other == c {
			l.claims = append(l.claims[:i], l.claims[i+1:]...)
			return
		}
	}
}

// shorten has a claim end sooner: the server sends less.
func (l *ledger) shorten(c *claim, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.end = min(c.end, end)
}

// add says that n more bytes of a claim are in the file. It returns how many are left
// of the claim, and whether the journal should be written.
func (l *ledger) add(c *claim, n int64) (left int64, save bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = max(min(n, c.end-c.at), 0) // part of it may have been given away
	if n > 0 {
		l.done = l.done.with(span{c.at, c.at + n})
		c.at += n
		l.unsaved += n
		l.unsynced += n
		l.best = max(l.best, l.done.sum())
		nudge(l.moved)
		if l.unsynced >= l.syncAt {
			nudge(l.aged)
		}
		l.check()
	}
	return c.end - c.at, l.unsaved >= unsavedLimit
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// learn sets what the server says of the file.
func (l *ledger) learn(size int64, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.whole = size, whole
	for _, c := range l.claims {
		if whole {
			c.end = unknownEnd
		}
		if size >= 0 {
			c.end = min(c.end, size)
		}
	}
	l.check()
	nudge(l.moved)
}

// bounds is what is left of a claim.
func (l *ledger) bounds(c *claim) (at, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.at, c.end
}

// restart forgets all that has come: the claim's server sends it from the start.
func (l *ledger) restart(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done, l.unsynced = nil, 0
	l.turn++
	c.from, c.at = 0, 0
	nudge(l.moved)
}

// ready is how far the file is whole from its start, in which turn.
func (l *ledger) ready() (frontier, size int64, turn int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done.frontier(), l.size, l.turn
}

// snapshot returns what has come, to be saved.
func (l *ledger) snapshot() (done spans) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = 0
	return append(done, l.done...)
}

// settle returns what has come, to be synced.
func (l *ledger) settle() (done spans, turn int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsynced = 0
	return append(done, l.done...), l.turn
}

// state is what callers are told.
func (l *ledger) state() (done, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done.sum(), l.size
}

// record is the most that has ever come.
func (l *ledger) record() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.best
}

func (l *ledger) isFull() bool {
	select {
	case <-l.full:
		return true
	default:
		return false
	}
}
