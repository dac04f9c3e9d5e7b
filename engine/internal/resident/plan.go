package resident

import (
	"cmp"
	"slices"
	"time"
)

// Model is one that takes memory.
type Model struct {
	ID string
	// Bytes is what it takes.
	Bytes int64
	// Leaving ones are on their way out; their memory is free soon.
	Leaving bool
	// Loading ones are on their way in.
	Loading bool
	// Busy ones have requests. Pinned ones stay.
	Busy, Pinned bool
	// Used is when it had a request last, Since when it was loaded.
	Used, Since time.Time
	// Swap is what bringing it back costs, as far as known.
	Swap time.Duration
}

// Asking is a model that wants in.
type Asking struct {
	ID string
	// Bytes is what it needs to be as large as it should.
	Bytes int64
}

// Limits are what models share.
type Limits struct {
	// Bytes is what all of them may take.
	Bytes int64
	// Idle is after how long without a request a model leaves; 0 is never.
	Idle time.Duration
	// Squeeze has all leave that have no requests.
	Squeeze bool
}

// Actions are what is to be done.
type Actions struct {
	// Admit the first that asks, with Grant bytes: less than it needs if nobody is left
	// that could make room.
	Admit bool
	Grant int64
	// Unload these.
	Unload []string
	// Wait names whom the first that asks waits for.
	Wait []string
	// After is when to ask again though nothing has changed; 0 is never.
	After time.Duration
}

// A model that computes is left alone for a while, so that two that both have requests
// take turns of a sensible length: minTurn, or swapShare times what the swap costs.
const (
	minTurn   = 10 * time.Second
	swapShare = 10
)

// Plan says what to do about models and those that ask, the first of which is served
// first.
func Plan(models []Model, asking []Asking, l Limits, now time.Time) Actions {
	var a Actions
	again := func(in time.Duration) {
		if in = max(in, time.Millisecond); a.After == 0 || in < a.After {
			a.After = in
		}
	}
	for _, m := range models {
		if m.Leaving || m.Loading || m.Busy || m.Pinned {
			continue
		}
		switch idle := now.Sub(m.Used); {
		case l.Squeeze, l.Idle > 0 && idle >= l.Idle:
			a.Unload = append(a.Unload, m.ID)
		case l.Idle > 0:
			again(l.Idle - idle)
		}
	}
	if len(asking) == 0 {
		return a
	}
	free, coming := l.Bytes, int64(0)
	for _, m := range models {
		free -= m.Bytes
		if m.Leaving || slices.Contains(a.Unload, m.ID) {
			coming += m.Bytes
			a.Wait = append(a.Wait, m.ID)
		}
	}
	need := asking[0].Bytes
	if need <= free {
		a.Admit, a.Grant, a.Wait = true, need, nil
		return a
	}
	victims := leavers(models, a.Unload)
	for _, v := range victims {
		if need <= free+coming {
			break
		}
		coming += v.Bytes
		a.Wait = append(a.Wait, v.ID)
		switch left := v.turn(now); {
		case v.Loading: // it has a turn of its own once it is there
		case v.Busy && left > 0:
			again(left)
		default:
			a.Unload = append(a.Unload, v.ID)
		}
	}
	if len(a.Wait) == 0 {
		a.Admit, a.Grant = true, max(free, 0)
	}
	return a
}

// leavers are the models that could make room, the most dispensable first.
func leavers(models []Model, gone []string) []Model {
	all := slices.DeleteFunc(slices.Clone(models), func(m Model) bool {
		return m.Leaving || m.Pinned || slices.Contains(gone, m.ID)
	})
	rank := func(m Model) int {
		switch {
		case m.Loading:
			return 2
		case m.Busy:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(x, y Model) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), x.Used.Compare(y.Used))
	})
	return all
}

// turn is how long a model may still compute before it has to make room.
func (m Model) turn(now time.Time) time.Duration {
	return max(minTurn, swapShare*m.Swap) - now.Sub(m.Since)
}
