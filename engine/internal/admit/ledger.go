package admit

import (
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// promise is room that a shed request was told to come back for.
type promise struct {
	key uint64
	// agent is who it was made to; "" is all those without a name.
	agent string
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

// ledger holds the promises in order of their time, and knows who comes for them.
type ledger struct {
	promises []promise
	returns  returns
}

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
	l.promises = slices.DeleteFunc(l.promises, func(p promise) bool {
		lapsed := now.After(p.due.Add(grace))
		if lapsed {
			l.returns.count(p.agent, false)
		}
		return lapsed
	})
}

// kept takes a promise out that somebody came for.
func (l *ledger) kept(i int) {
	l.returns.count(l.promises[i].agent, true)
	l.promises = slices.Delete(l.promises, i, i+1)
}

// likely are the promises that are expected to be come for: of each agent's as large a
// share, evenly spread, as it came for lately.
func (l *ledger) likely() []promise {
	all := make([]promise, 0, len(l.promises))
	owed := map[string]float64{}
	for _, p := range l.promises {
		if owed[p.agent] += l.returns.share(p.agent); owed[p.agent] > 1-1e-9 {
			owed[p.agent]--
			all = append(all, p)
		}
	}
	return all
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

const (
	// trust is for how many promises an unknown agent is taken to have come.
	trust = 3
	// lately is how many promises an agent is judged by, at most; agentsJudged bounds
	// those that are known.
	lately       = 16
	agentsJudged = 1024
)

// returns knows how often agents come for what they were promised. Without it, somebody
// who never comes back but asks for more and more would be kept the room of all others.
type returns struct {
	of *simplelru.LRU[string, visits]
}

type visits struct{ came, missed float64 }

func newReturns() returns {
	lru, err := simplelru.NewLRU[string, visits](agentsJudged, nil)
	if err != nil { // the size is a constant
		panic(err)
	}
	return returns{lru}
}

func (r returns) count(agent string, came bool) {
	v, _ := r.of.Get(agent)
	if came {
		v.came++
	} else {
		v.missed++
	}
	if v.came+v.missed > lately {
		v.came, v.missed = v.came/2, v.missed/2
	}
	r.of.Add(agent, v)
}

func (r returns) share(agent string) float64 {
	v, _ := r.of.Peek(agent)
	return (v.came + trust) / (v.came + v.missed + trust)
}
