package admit

import (
	"slices"
	"time"
)

// promise is room that a shed request was told to come back for.
type promise struct {
	key   uint64
	due   time.Time
	rows  float64
	steps float64
	cells int
	// target is how long it may wait for a sequence when it comes.
	target seconds
}

const (
	// early is how much before its time who returns is still taken for it.
	early = 100 * time.Millisecond
	// grace is how long after its time a promise is kept.
	grace = 5 * time.Second
)

// ledger holds the promises in order of their time.
type ledger struct{ promises []promise }

func (l *ledger) add(p promise) {
	i, _ := slices.BinarySearchFunc(l.promises, p, func(a, b promise) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1 // behind those of the same time
	})
	l.promises = slices.Insert(l.promises, i, p)
}

// expire forgets what nobody came for.
func (l *ledger) expire(now time.Time) {
	l.promises = slices.DeleteFunc(l.promises, func(p promise) bool { return now.After(p.due.Add(grace)) })
}

// find returns the index of a promise whose time has come, or -1.
func (l *ledger) find(key uint64, now time.Time) int {
	return slices.IndexFunc(l.promises, func(p promise) bool {
		return p.key == key && !now.Add(early).Before(p.due)
	})
}

// known returns the index of a client's only promise, or -1. Without an agent's
// name nobody knows whether the same request comes from the same client.
func (l *ledger) known(r Request) int {
	if r.Agent == "" {
		return -1
	}
	return slices.IndexFunc(l.promises, func(p promise) bool { return p.key == r.Key })
}

func (l *ledger) remove(i int) { l.promises = slices.Delete(l.promises, i, i+1) }
