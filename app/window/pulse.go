package window

import "time"

const (
	// pulseEvery is how often the page is asked whether it lives.
	pulseEvery = 5 * time.Second
	// pulseLost is how long it may owe the answer. A page that draws a minute of charts
	// anew needs a tenth of a second.
	pulseLost = 15 * time.Second
	// mostMends is how many mends in a row are tried without a sign of life.
	mostMends = 2
)

// What to do about a page.
type care int

const (
	wait care = iota
	ping
	mend
	leave // it cannot be mended, and that is to be said once
)

// pulse decides whether the page lives: it is asked, since a page that is out of sight may
// do nothing by itself.
type pulse struct {
	owed  time.Time // since when it owes an answer; zero if it doesn't
	mends int       // since the last sign of life
}

// heard notes a sign of life.
func (p *pulse) heard() { *p = pulse{} }

// next says what to do now; it is asked every pulseEvery.
func (p *pulse) next(now time.Time) care {
	switch {
	case p.mends > mostMends:
		return wait
	case p.owed.IsZero():
		p.owed = now
		return ping
	case now.Sub(p.owed) < pulseLost:
		return ping // an earlier one may have come before the page was there
	}
	p.owed = time.Time{}
	if p.mends++; p.mends > mostMends {
		return leave
	}
	return mend
}
