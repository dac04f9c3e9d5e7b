package download

import (
	"sync"
	"time"
)

const (
	// window is what a speed is the mean of: long enough to be readable, short enough
	// to notice that the network has changed.
	window = 5 * time.Second
	// apart is how far samples are apart at the least, so that the window is bounded.
	apart = 50 * time.Millisecond
)

// A meter measures speed from samples of how much is done.
type meter struct {
	mu      sync.Mutex
	of      any // what is measured; another one begins anew
	samples []sample
}

type sample struct {
	at   time.Time
	done int64
}

// speed notes what is done by now, and returns bytes per second; 0 if it isn't known.
func (m *meter) speed(of any, now time.Time, done int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.samples) - 1
	if m.of != of || last >= 0 && done < m.samples[last].done {
		m.of, m.samples, last = of, nil, -1
	}
	if last < 0 || now.Sub(m.samples[last].at) >= apart {
		m.samples = append(m.samples, sample{now, done})
	}
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	passed := now.Sub(first.at).Seconds()
	if passed <= 0 {
		return 0
	}
	return float64(done-first.done) / passed
}

// eta is how long the rest takes; 0 if it isn't known.
func eta(rest int64, speed float64) time.Duration {
	if rest <= 0 || speed < 1 {
		return 0
	}
	return time.Duration(min(float64(rest)/speed, (1000*time.Hour).Seconds()) * float64(time.Second))
}
