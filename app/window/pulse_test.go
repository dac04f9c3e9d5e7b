package window

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPulse(t *testing.T) {
	now := time.Unix(0, 0)
	var p pulse
	next := func() care {
		now = now.Add(pulseEvery)
		return p.next(now)
	}
	for range 100 { // a page that answers
		require.Equal(t, ping, next())
		p.heard()
	}
	// One that stops.
	for _, want := range []care{ping, ping, ping, mend, ping, ping, ping, mend, ping, ping, ping, leave, wait, wait} {
		require.Equal(t, want, next())
	}
	// It answers late, and is as good as new.
	p.heard()
	for _, want := range []care{ping, ping, ping, mend} {
		require.Equal(t, want, next())
	}
}
