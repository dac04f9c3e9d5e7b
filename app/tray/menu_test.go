package tray

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
)

// lasting are the goroutines that may outlast the tests.
var lasting []goleak.Option

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, lasting...) }

// fakeBar is a menu bar that counts what is done to it. It keeps the contract: one
// goroutine calls it.
type fakeBar struct {
	mu            sync.Mutex // tests look from another one
	icons, titles []string
	tooltip       string
	entries       map[string]*fakeEntry
	order         []string
	changes       int
	clicks        chan<- string
	at            []time.Time // of the titles
}

type fakeEntry struct {
	bar *fakeBar
	Item
}

func newFakeBar() *fakeBar { return &fakeBar{entries: map[string]*fakeEntry{}} }

func (b *fakeBar) setIcon(i Icon)        { b.icons = append(b.icons, string(i)) }
func (b *fakeBar) setTooltip(tip string) { b.tooltip = tip }
func (b *fakeBar) setTitle(title string) {
	b.titles, b.at = append(b.titles, title), append(b.at, time.Now())
}

func (b *fakeBar) add(it Item, clicks chan<- string) entry {
	if b.entries[it.Key] != nil {
		panic("added twice: " + it.Key)
	}
	e := &fakeEntry{bar: b, Item: it}
	b.entries[it.Key], b.order, b.clicks = e, append(b.order, it.Key), clicks
	if it.Separator {
		return nil
	}
	return e
}

func (b *fakeBar) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.changes++
}

// get returns an item as it is shown.
func (b *fakeBar) get(key string) Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key].Item
}

func (e *fakeEntry) setTitle(title string)     { e.bar.change(func() { e.Title = title }) }
func (e *fakeEntry) setTooltip(tip string)     { e.bar.change(func() { e.Tooltip = tip }) }
func (e *fakeEntry) setTicked(ticked bool)     { e.bar.change(func() { e.Ticked = ticked }) }
func (e *fakeEntry) setDisabled(disabled bool) { e.bar.change(func() { e.Disabled = disabled }) }
func (e *fakeEntry) setHidden(hidden bool)     { e.bar.change(func() { e.Hidden = hidden }) }

// shown is the menu as it is, to compare with what it should be.
func (b *fakeBar) shown() (all []Item) {
	for _, key := range b.order {
		it := b.get(key)
		it.Order = Order{}
		all = append(all, it)
	}
	return all
}

func withoutOrders(items []Item) []Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Order = Order{}
	}
	return items
}

// fakeSource is a source whose snapshot is set.
type fakeSource struct {
	mu    sync.Mutex
	now   Snapshot
	asked int
	feed  chan struct{}
}

func newFakeSource(s Snapshot) *fakeSource { return &fakeSource{now: s, feed: make(chan struct{}, 1)} }

func (f *fakeSource) Snapshot() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.now
}

func (f *fakeSource) Changes() (<-chan struct{}, func()) { return f.feed, func() {} }

// looks is how often it was looked at.
func (f *fakeSource) looks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeSource) set(s Snapshot) {
	f.mu.Lock()
	f.now = s
	f.mu.Unlock()
}

func (f *fakeSource) wake() {
	select {
	case f.feed <- struct{}{}:
	default:
	}
}

// fakeActions note what they are asked for; stop waits until it is let go.
type fakeActions struct {
	mu    sync.Mutex
	did   []string
	err   error
	block chan struct{}
}

func (a *fakeActions) note(what string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.did = append(a.did, what)
	return a.err
}

func (a *fakeActions) done() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.did)
}

func (a *fakeActions) Start(_ context.Context, m string) error { return a.note("start " + m) }
func (a *fakeActions) Stop(ctx context.Context) error {
	if a.block != nil {
		select {
		case <-a.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return a.note("stop")
}
func (a *fakeActions) Use(_ context.Context, m string) error      { return a.note("use " + m) }
func (a *fakeActions) Open(_ context.Context, page string) error  { return a.note("open " + page) }
func (a *fakeActions) OpenFile(_ context.Context, p string) error { return a.note("file " + p) }
func (a *fakeActions) Copy(context.Context) error                 { return a.note("copy") }
func (a *fakeActions) Login(_ context.Context, on bool) error {
	return a.note(fmt.Sprint("login ", on))
}
func (a *fakeActions) Quit() { _ = a.note("quit") }

// serving runs a menu in a bubble of time, until the test is done with it. What is waited
// for must be made in the bubble, so the source is.
func serving(t *testing.T, first Snapshot, a *fakeActions, test func(t *testing.T, b *fakeBar, s *fakeSource)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, s := newFakeBar(), newFakeSource(first)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		defer done.Wait()
		defer cancel()
		done.Go(func() { newMenu(b, s, a).serve(ctx) })
		synctest.Wait()
		test(t, b, s)
	})
}

func tick() {
	time.Sleep(lookEvery)
	synctest.Wait()
}

func TestTheMenuFollowsTheSource(t *testing.T) {
	first := of(status("m", infer.StateReady))
	serving(t, first, &fakeActions{}, func(t *testing.T, b *fakeBar, s *fakeSource) {
		require.Equal(t, withoutOrders(Items(first)), b.shown())
		require.Equal(t, []string{"ready"}, b.icons)
		for _, next := range []Snapshot{of(busy("m", 1, 0)), of(status("m", infer.StateStopped)), {Broken: Problem{"x", "y"}}, first} {
			s.set(next)
			tick()
			require.Equal(t, withoutOrders(Items(next)), b.shown())
		}
		require.Equal(t, []string{"ready", "busy", "stopped", "attention", "ready"}, b.icons)
	})
}

func TestNothingIsDoneWhileNothingChanges(t *testing.T) {
	serving(t, of(status("m", infer.StateReady)), &fakeActions{}, func(t *testing.T, b *fakeBar, s *fakeSource) {
		for range 100 {
			tick()
		}
		require.Zero(t, b.changes)
		require.Len(t, b.icons, 1)
		require.Empty(t, b.titles)
		require.LessOrEqual(t, s.looks(), 102, "once a second")
	})
}

// Changes are seen at once, and a storm of them costs no more than ten looks a second.
func TestChangesAreSeenSoon(t *testing.T) {
	serving(t, of(status("m", infer.StateReady)), &fakeActions{}, func(t *testing.T, b *fakeBar, s *fakeSource) {
		tick()
		s.set(of(status("m", infer.StateStopped)))
		s.wake()
		time.Sleep(calm)
		synctest.Wait()
		require.Equal(t, "Stopped", b.get("status").Title)
		before := s.looks()
		for range 10_000 {
			s.wake()
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, s.looks()-before, 120)
	})
}

func TestTheTitleChangesOnceASecond(t *testing.T) {
	at := func(ms int) Snapshot {
		s := of(status("m", infer.StateReady))
		s.Title, s.Speed = TitleTTFT, Speed{P95: time.Duration(ms) * time.Millisecond, Known: true}
		return s
	}
	serving(t, at(1), &fakeActions{}, func(t *testing.T, b *fakeBar, s *fakeSource) {
		for i := range 500 {
			s.set(at(100 + i))
			s.wake()
			time.Sleep(10 * time.Millisecond)
		}
		require.Greater(t, len(b.titles), 3)
		for i := range b.at[1:] {
			require.GreaterOrEqual(t, b.at[i+1].Sub(b.at[i]), lookEvery-calm)
		}
	})
}

func TestClicksBecomeOrders(t *testing.T) {
	snapshot := of(status("m", infer.StateReady))
	snapshot.Here, snapshot.Login = []string{"other"}, Login{Supported: true}
	a := &fakeActions{}
	serving(t, snapshot, a, func(t *testing.T, b *fakeBar, _ *fakeSource) {
		for _, key := range []string{"power", "model.1", "get", "open", "copy", "connect", "login", "settings", "about", "quit", "status", "model.9", "line.app", "nonsense"} {
			b.clicks <- key
			synctest.Wait()
		}
		require.Equal(t, []string{"stop", "use other", "open /models", "open ", "copy", "open /connect", "login true", "open /settings", "open /doctor", "quit"}, a.done())
	})
}

// An order is carried out once at a time; the menu is shown meanwhile, and quitting waits
// for no order.
func TestSlowOrdersHoldNothingUp(t *testing.T) {
	a := &fakeActions{}
	serving(t, of(status("m", infer.StateReady)), a, func(t *testing.T, b *fakeBar, s *fakeSource) {
		a.block = make(chan struct{})
		for range 5 {
			b.clicks <- "power"
			synctest.Wait()
		}
		s.set(of(status("m", infer.StateDraining)))
		tick()
		require.Equal(t, "Stopping · saving", b.get("status").Title)
		b.clicks <- "quit"
		b.clicks <- "quit"
		synctest.Wait()
		require.Equal(t, []string{"quit", "quit"}, a.done())
		close(a.block)
		synctest.Wait()
		require.Equal(t, []string{"quit", "quit", "stop"}, a.done())
	})
}

func TestWhatCameOfAnOrderIsSaid(t *testing.T) {
	for _, c := range []struct {
		err        error
		text, hint string
	}{
		{errors.New("the disk is full"), "⚠ the disk is full", ""},
		{&infer.Error{Code: infer.CodeConflict, Message: "It is in use.", Hint: "Wait."}, "⚠ It is in use.", "Wait."},
		{fmt.Errorf("copying: %w", &Advice{Problem{"No tool.", "Install one."}}), "⚠ No tool.", "Install one."},
	} {
		serving(t, of(status("m", infer.StateReady)), &fakeActions{err: c.err}, func(t *testing.T, b *fakeBar, _ *fakeSource) {
			b.clicks <- "copy"
			time.Sleep(2 * calm)
			synctest.Wait()
			require.Equal(t, c.text, b.get("problem").Title)
			require.Equal(t, c.hint, b.get("problem.hint").Title)
			time.Sleep(saidFor + lookEvery)
			synctest.Wait()
			require.True(t, b.get("problem").Hidden, "not for ever")
		})
	}
}

// TestTenThousandUpdates holds that a day of changes leaves nothing behind: no goroutine,
// no memory, no item.
func TestTenThousandUpdates(t *testing.T) {
	b := newFakeBar()
	grown := updateOften(newMenu(b, newFakeSource(Snapshot{}), &fakeActions{}), func() {
		b.icons, b.titles, b.at = b.icons[:0], b.titles[:0], b.at[:0]
	})
	require.Equal(t, len(Items(Snapshot{})), len(b.order))
	require.Zero(t, grown.goroutines)
	require.Less(t, grown.heap, int64(200_000), "it grows")
	require.Greater(t, b.changes, 20_000, "nothing was updated")
}

// growth is what updates have left behind; heap is in bytes.
type growth struct {
	goroutines int
	heap       int64
}

// updateOften shows ten thousand snapshots, all different.
func updateOften(m *menu, after func()) growth {
	at := time.Now()
	update := func(i int) {
		next := of(busy("m", i%7, i%3))
		next.Speed = Speed{P50: time.Duration(i) * time.Millisecond, P95: time.Duration(2*i) * time.Millisecond, Known: true, TokensPerSecond: float64(i)}
		next.Title, next.Agents = TitleTTFT, Agents{i, 2 * i, true}
		for k := range i % 15 {
			next.Here = append(next.Here, fmt.Sprint("model", k))
		}
		if i%2 == 0 {
			next.Said = Problem{strings.Repeat("x", i%100), "hint"}
		}
		m.source.(*fakeSource).set(next)
		at = at.Add(lookEvery)
		m.show(at)
		after()
	}
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	for i := range 100 {
		update(i)
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	for i := range 10_000 {
		update(i)
	}
	return growth{runtime.NumGoroutine() - goroutines, heap() - before}
}

func TestEveryIconHasItsPictures(t *testing.T) {
	seen := map[string]Icon{}
	for _, i := range Icons {
		for _, template := range []bool{true, false} {
			data := string(picture(i, template))
			require.True(t, strings.HasPrefix(data, "\x89PNG"), "systray decodes them, and fails on others")
			require.Empty(t, seen[data], "%s looks the same", i)
			seen[data] = i
		}
	}
}
