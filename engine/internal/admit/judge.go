package admit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"samovar/engine/infer"
)

const (
	// kept is the share of a limit that promises are made for. The rest is for
	// errors of the forecast.
	kept = 0.8
	// returning requests may wait this much longer than others rather than be
	// sent away again.
	tolerance = 1.2
	// slower is how much slower than measured the worker is taken to be when
	// promises are made, as the forecast errs the more the further it looks;
	// unmeasured is for guesses.
	slower     = 1.1
	unmeasured = 1.5
	// maxPromises for each request that may be outstanding. Beyond, Retry-After is
	// a mere estimate.
	maxPromises = 8
)

// limits are how long, and in what company, a request may wait.
type limits struct {
	wait     seconds
	patience seconds // of the client; +Inf if unknown
	count    int
}

func (c *Controller) limits(now time.Time, r Request, returned bool) limits {
	l := limits{wait: c.cfg.MaxWait.Seconds(), patience: math.Inf(1), count: c.cfg.MaxRequests}
	if returned {
		l.wait *= tolerance
	}
	if !r.Deadline.IsZero() {
		l.patience = r.Deadline.Sub(now).Seconds()
	}
	return l
}

// judge decides about one request. returned says that it came for its promise.
func (c *Controller) judge(now time.Time, r Request, returned bool) *infer.Error {
	lim := c.limits(now, r, returned)
	if lim.patience <= 0 {
		return &infer.Error{Code: infer.CodeDeadline, Shed: infer.ShedDeadline,
			Message: "The client's deadline had passed when its request arrived.", Hint: "Allow more time."}
	}
	me := c.item(&outstanding{Request: r})
	items := append(c.present(), me)
	own := len(items) - 1
	likely := c.ledger.likely()
	items = append(items, promised(now, likely)...)
	fates := forecast(items, c.capacity, &c.costs, c.start(now), c.pulse.ahead)
	wait := fates[own].bound
	switch {
	case own >= lim.count:
		return c.shed(now, r, me, infer.ShedQueueFull, wait, lim)
	case wait > lim.patience:
		return c.shed(now, r, me, infer.ShedDeadline, wait, lim)
	case wait > lim.wait:
		return c.shed(now, r, me, infer.ShedWait, wait, lim)
	case returned:
		return nil
	}
	for i, p := range likely {
		then := fates[own+1+i]
		switch {
		case then.bound-items[own+1+i].join > p.target:
			return c.shed(now, r, me, infer.ShedWait, wait, lim)
		case then.ahead >= c.promisedCount():
			return c.shed(now, r, me, infer.ShedQueueFull, wait, lim)
		}
	}
	return nil
}

// promisedCount is how many requests may be outstanding when a promised one comes.
func (c *Controller) promisedCount() int { return max(1, int(kept*float64(c.cfg.MaxRequests))) }

// promised returns promises as the forecast wants them.
func promised(now time.Time, promises []promise) []item {
	items := make([]item, len(promises))
	for i, p := range promises {
		items[i] = item{join: since(now, p.due), rows: p.rows, steps: p.steps, cells: p.cells}
	}
	return items
}

// shed finds when there is room for a request, promises it and says so.
func (c *Controller) shed(now time.Time, r Request, me item, why infer.ShedReason, wait seconds, lim limits) *infer.Error {
	target := kept * min(c.cfg.MaxWait.Seconds(), lim.patience)
	var after time.Duration
	if i := c.ledger.known(r); i >= 0 {
		after = wholeSeconds(since(now, c.ledger.promises[i].due)) // it came early; its room is kept
	} else {
		after = wholeSeconds(c.room(now, me, target))
		if len(c.ledger.promises) < maxPromises*c.cfg.MaxRequests {
			c.ledger.add(promise{key: r.Key, agent: r.Agent, due: now.Add(after), rows: me.rows, steps: me.steps, cells: me.cells, target: target})
		}
	}
	e := &infer.Error{Code: infer.CodeOverloaded, Shed: why, RetryAfter: after,
		Hint: fmt.Sprintf("Try again in %d s.", int(after.Seconds()))}
	switch {
	case why == infer.ShedQueueFull:
		e.Message = fmt.Sprintf("%d requests are running, waiting or expected already; at most %d may be.",
			len(c.requests)+len(c.ledger.likely()), c.cfg.MaxRequests)
	case why == infer.ShedDeadline:
		e.Message = fmt.Sprintf("The request would wait about %.0f s for its turn, but its client only %.1f s.", math.Ceil(wait), lim.patience)
	case wait > lim.wait:
		e.Message = fmt.Sprintf("The request would wait about %.0f s for its turn; at most %v is allowed.", math.Ceil(wait), c.cfg.MaxWait)
	default:
		e.Message = "The room that is left is kept for requests that were told to come back."
	}
	return e
}

// room is when a request that comes last of all, those promised included, waits no
// longer than target and is in no larger company than allowed.
func (c *Controller) room(now time.Time, me item, target seconds) seconds {
	items := append(c.present(), promised(now, c.ledger.likely())...)
	last := 0.0
	if n := len(items); n > 0 {
		last = items[n-1].join
	}
	me.join = last
	items = append(items, me)
	careful := c.costs
	careful.slower = slower
	if !careful.measured() {
		careful.slower = unmeasured
	}
	fates := forecast(items, c.capacity, &careful, c.start(now), c.pulse.ahead)
	after := fates[len(items)-1].bound - target
	if others := len(items) - 1; others >= c.promisedCount() {
		ends := make([]seconds, others)
		for i := range ends {
			ends[i] = fates[i].finished
		}
		slices.Sort(ends)
		after = max(after, ends[others-c.promisedCount()])
	}
	return max(after, last)
}

// wholeSeconds rounds up, as HTTP's Retry-After has no fractions.
func wholeSeconds(s seconds) time.Duration {
	return max(time.Second, duration(math.Ceil(s-1e-9)))
}
