package power

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNobodySleptBetweenTwoReadings(t *testing.T) {
	before := time.Now()
	require.Zero(t, Slept(before, before.Add(time.Hour)), "both clocks went on")
	require.Zero(t, Slept(before.Round(0), before.Round(0).Add(time.Hour)), "without a monotonic clock nothing can be told")
	require.Less(t, Slept(before, time.Now()).Abs(), time.Minute)
}

func TestWallClockAheadOfTheMonotonicOne(t *testing.T) {
	start := time.Now()
	for _, wall := range []time.Duration{-time.Hour, 0, time.Second, 8 * time.Hour} {
		before := moment{wall: start, mono: start}
		after := moment{wall: start.Add(wall), mono: start.Add(2 * time.Second)}
		require.Equal(t, wall-2*time.Second, after.ahead(before))
	}
}
