package power

import "time"

// Slept is how much further the wall clock went than the monotonic one, which on Linux
// and macOS stands still while the machine sleeps. It's negative if the wall clock was
// set back. Both times must come from time.Now, which reads both clocks.
func Slept(before, after time.Time) time.Duration {
	return moment{wall: after, mono: after}.ahead(moment{wall: before, mono: before})
}

// A moment is one reading of the two clocks. They're apart so that a test can move one.
type moment struct{ wall, mono time.Time }

// ahead is by how much the wall clock gained on the monotonic one since before.
func (m moment) ahead(before moment) time.Duration {
	// Round(0) drops the monotonic reading.
	return m.wall.Round(0).Sub(before.wall.Round(0)) - m.mono.Sub(before.mono)
}
