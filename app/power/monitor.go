package power

import (
	"context"
	"time"
)

const (
	usualEvery = 2 * time.Second
	// wakeGap is how far the wall clock must jump to be called sleep: a correction of
	// the clock is rarely as large, and a shorter sleep changes nothing for anyone.
	wakeGap = 10 * time.Second
)

// State is how the machine fares. What isn't known is false or Normal.
type State struct {
	OnBattery, BatteryKnown bool
	Pressure                Level
	PressureKnown           bool
}

// Options are a Monitor's. What is left out is this machine's, or usual.
type Options struct {
	// Every is the time between two looks, 2 s. BatteryEvery is the least time between
	// two looks at the battery: 30 s on macOS, where one takes a process, else each look
	// is at the battery, too.
	Every, BatteryEvery time.Duration

	// OnChange is told the state at the start, and whenever it's another.
	OnChange func(State)
	// OnWake is told that the machine has slept, and for how long; before OnChange is
	// told of what is different since. Setting the clock ahead looks the same.
	OnWake func(asleep time.Duration)

	// Battery says whether the machine runs on battery.
	Battery func(context.Context) (on, known bool)
	// Pressure says how short memory is.
	Pressure func() (level Level, known bool)
	// Wall is the wall clock.
	Wall func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Every <= 0 {
		o.Every = usualEvery
	}
	if o.BatteryEvery <= 0 {
		o.BatteryEvery = batteryEvery
	}
	if o.OnChange == nil {
		o.OnChange = func(State) {}
	}
	if o.OnWake == nil {
		o.OnWake = func(time.Duration) {}
	}
	if o.Battery == nil {
		o.Battery = OnBattery
	}
	if o.Pressure == nil {
		o.Pressure = MemoryPressure
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	return o
}

// A Monitor looks at the machine now and then and tells of changes. All of its state is
// Serve's.
type Monitor struct{ o Options }

// New makes a Monitor; Serve starts it.
func New(o Options) *Monitor { return &Monitor{o: o.withDefaults()} }

// Serve looks until the context ends, and then returns nil. The callbacks are called
// from the caller's goroutine: while one is busy, nothing is looked at.
func (m *Monitor) Serve(ctx context.Context) error {
	ticker := time.NewTicker(m.o.Every)
	defer ticker.Stop()
	l := look{at: m.now()}
	if !m.see(ctx, &l) {
		return nil
	}
	m.o.OnChange(l.State)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		before := l
		l.at = m.now()
		if asleep := l.at.ahead(before.at); asleep > wakeGap {
			m.o.OnWake(asleep)
			l.battery = time.Time{} // it may have been unplugged in the meantime
		}
		if !m.see(ctx, &l) {
			return nil
		}
		if l.State != before.State {
			m.o.OnChange(l.State)
		}
	}
}

// A look is what was seen, and when.
type look struct {
	State
	at moment
	// battery is when the battery was looked at last, by the monotonic clock.
	battery time.Time
}

// see brings the state up to date. If the context ends meanwhile, which ends the process
// that was asked, there's nothing to be told.
func (m *Monitor) see(ctx context.Context, l *look) bool {
	if l.battery.IsZero() || l.at.mono.Sub(l.battery) >= m.o.BatteryEvery {
		l.OnBattery, l.BatteryKnown = m.o.Battery(ctx)
		l.battery = l.at.mono
	}
	l.Pressure, l.PressureKnown = m.o.Pressure()
	return ctx.Err() == nil
}

func (m *Monitor) now() moment { return moment{wall: m.o.Wall(), mono: time.Now()} }
