package power

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is one whose state a test sets, and what a Monitor told of it.
type machine struct {
	mu sync.Mutex
	State
	// skew is how far the wall clock is ahead of the monotonic one.
	skew      time.Duration
	told      []any
	interrupt func()       // in a look at the battery
	looks     atomic.Int32 // at the battery
}

func (m *machine) options() Options {
	tell := func(what any) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.told = append(m.told, what)
	}
	return Options{
		OnChange: func(s State) { tell(s) },
		OnWake:   func(d time.Duration) { tell(d) },
		Battery: func(context.Context) (on, known bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.looks.Add(1)
			if m.interrupt != nil {
				m.interrupt()
			}
			return m.OnBattery, m.BatteryKnown
		},
		Pressure: func() (Level, bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.Pressure, m.PressureKnown
		},
		Wall: func() time.Time {
			m.mu.Lock()
			defer m.mu.Unlock()
			return time.Now().Round(0).Add(m.skew)
		},
	}
}

// change sets something of the machine, or asks.
func (m *machine) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// watch runs a Monitor in the bubble until the test ends. wait lets time pass, and
// returns what was told since.
func (m *machine) watch(t *testing.T, o Options) (wait func(time.Duration) []any) {
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New(o).Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})
	return func(d time.Duration) (told []any) {
		synctest.Wait()
		time.Sleep(d) // the bubble's time
		synctest.Wait()
		m.change(func() { told, m.told = m.told, nil })
		return told
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{State: State{BatteryKnown: true}}
		wait := m.watch(t, m.options())
		require.Equal(t, []any{State{BatteryKnown: true}}, wait(time.Second), "at once")
		require.Empty(t, wait(time.Hour))

		m.change(func() { m.Pressure, m.PressureKnown = Critical, true })
		require.Equal(t, []any{State{BatteryKnown: true, Pressure: Critical, PressureKnown: true}}, wait(2*time.Second))
		m.change(func() { m.OnBattery = true })
		require.Equal(t, []any{m.State}, wait(30*time.Second))
		require.Empty(t, wait(time.Hour))
		m.change(func() { m.State = State{} })
		require.Equal(t, State{}, wait(time.Minute)[0], "nothing is known any longer")
	})
}

func TestWakingUpIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		o := m.options()
		o.BatteryEvery = time.Hour
		wait := m.watch(t, o)
		require.Len(t, wait(time.Second), 1)

		m.change(func() {
			m.skew += 8 * time.Hour
			m.OnBattery, m.BatteryKnown = true, true
		})
		require.Equal(t, []any{8 * time.Hour, m.State}, wait(2*time.Second), "first that it slept; and the battery is looked at anew")
		require.Empty(t, wait(time.Minute), "once")

		m.change(func() { m.skew += 11 * time.Second })
		require.Equal(t, []any{11 * time.Second}, wait(2*time.Second))
		m.change(func() { m.skew += 10 * time.Second })
		require.Empty(t, wait(time.Minute), "too short")
		m.change(func() { m.skew -= 24 * time.Hour })
		require.Empty(t, wait(time.Minute), "a clock that's set back")
		m.change(func() { m.skew += time.Minute })
		require.Equal(t, []any{time.Minute}, wait(2*time.Second), "though it's still behind")
	})
}

func TestTheBatteryIsLookedAtLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		o := m.options()
		o.Every, o.BatteryEvery = 2*time.Second, 30*time.Second
		wait := m.watch(t, o)
		wait(time.Second)
		require.EqualValues(t, 1, m.looks.Load())
		wait(28 * time.Second)
		require.EqualValues(t, 1, m.looks.Load())
		wait(2 * time.Second)
		require.EqualValues(t, 2, m.looks.Load())
		wait(5 * time.Minute)
		require.EqualValues(t, 12, m.looks.Load())
	})
}

// The process that is asked ends with the context, and knows nothing then.
func TestNothingIsToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{State: State{OnBattery: true, BatteryKnown: true}}
		o := m.options()
		o.BatteryEvery = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- New(o).Serve(ctx) }()
		synctest.Wait()
		m.change(func() { m.interrupt = func() { cancel(); m.State = State{} } })
		require.NoError(t, <-served)
		require.Len(t, m.told, 1)
	})
}

func TestAMonitorOfThisMachine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []State
	require.NoError(t, New(Options{OnChange: func(s State) { told = append(told, s); cancel() }}).Serve(ctx))
	require.Len(t, told, 1)
	require.NoError(t, New(Options{}).Serve(ctx), "one that nobody listens to")
}
