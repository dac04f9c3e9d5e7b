package resident

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The ladder is climbed rung by rung, to where the pressure is worth it, and down again.
func TestClimb(t *testing.T) {
	at, held := Ease, time.Duration(0)
	var seen []Rung
	run := func(p Pressure, span time.Duration) {
		seen = seen[:0]
		for span > 0 {
			next, after := Climb(at, p, held)
			if next != at {
				at, held = next, 0
				seen = append(seen, at)
			}
			if after == 0 {
				return
			}
			held += after
			span -= after
		}
	}
	run(Normal, time.Minute)
	require.Empty(t, seen)
	run(Warn, time.Minute)
	require.Equal(t, []Rung{Evict, Shrink}, seen, "a warning is no reason to refuse")
	run(Critical, time.Minute)
	require.Equal(t, []Rung{Refuse, Unload}, seen)
	run(Warn, time.Minute)
	require.Equal(t, []Rung{Refuse, Shrink}, seen)
	run(Normal, time.Minute)
	require.Equal(t, []Rung{Evict, Ease}, seen)

	at, held = Ease, 0
	run(Critical, 4*time.Second)
	require.Equal(t, []Rung{Evict, Shrink}, seen, "one after the other, as long as it takes to see what they do")
	run(Normal, 6*time.Second)
	require.Empty(t, seen, "and down slowly")
}
