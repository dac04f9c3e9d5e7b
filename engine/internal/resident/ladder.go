package resident

import "time"

// Pressure is how scarce memory is on the machine.
type Pressure int

// The pressures, as the system tells them.
const (
	Normal Pressure = iota
	Warn
	Critical
)

// Rung is how far one goes to free memory; each includes those below it.
type Rung int

const (
	// Ease does nothing.
	Ease Rung = iota
	// Evict lets idle agents leave the pools: they are kept on disk.
	Evict
	// Shrink empties the caches in memory.
	Shrink
	// Refuse takes no new requests.
	Refuse
	// Unload lets models leave that have no requests.
	Unload
)

// highest is how far a pressure is worth going. Warnings come and go on a machine that is
// in use; turning requests away is for when it would stall otherwise.
var highest = map[Pressure]Rung{Normal: Ease, Warn: Shrink, Critical: Unload}

// Times between two rungs. Up is as long as it takes to see whether the last one has
// helped: systems average over 10 s or so. Down is slower, so that nothing swings.
const (
	upAfter   = 3 * time.Second
	downAfter = 10 * time.Second
)

// Climb says which rung comes next when one has been held for so long, and after how long
// to ask again; 0 is when the pressure changes.
func Climb(at Rung, p Pressure, held time.Duration) (Rung, time.Duration) {
	to, wait := at, time.Duration(0)
	switch top := highest[p]; {
	case at < top:
		to, wait = at+1, upAfter
	case at > top:
		to, wait = at-1, downAfter
	default:
		return at, 0
	}
	if at == Ease { // begin at once
		return to, upAfter
	}
	if held < wait {
		return at, wait - held
	}
	if to == highest[p] {
		return to, 0
	}
	return to, wait
}
