package tray

import (
	"context"
	"sync"
	"time"
)

// Source is what the menu is about. Both methods may be called from any goroutine.
type Source interface {
	// Snapshot returns at once.
	Snapshot() Snapshot
	// Changes returns a feed that has something when it is worth looking at once, until
	// stop is called. Whoever is slow sees several changes as one.
	Changes() (feed <-chan struct{}, stop func())
}

// Actions are what the menu can ask for. Each may take its time, until ctx is done. An
// error is shown in the menu.
type Actions interface {
	// Start starts a model, or all if it is "". If nothing is served, it tries again.
	Start(ctx context.Context, model string) error
	Stop(ctx context.Context) error
	// Use makes a model the one that answers requests that name none.
	Use(ctx context.Context, model string) error
	// Open shows a page of the dashboard.
	Open(ctx context.Context, page string) error
	OpenFile(ctx context.Context, path string) error
	// Copy puts the address that programs need on the clipboard.
	Copy(ctx context.Context) error
	Login(ctx context.Context, enabled bool) error
	// Quit begins to quit; asked again, it waits for nobody any more.
	Quit()
}

// bar is the place in the menu bar, and its menu. Only one goroutine calls it, and holds
// no lock while it does: a call may wait for the main thread.
type bar interface {
	setIcon(Icon)
	setTitle(string)
	setTooltip(string)
	// add appends an item. Its clicks come as its key, until the bar is gone.
	add(it Item, clicks chan<- string) entry
}

// entry is an item in the menu.
type entry interface {
	setTitle(string)
	setTooltip(string)
	setTicked(bool)
	setDisabled(bool)
	setHidden(bool)
}

const (
	// lookEvery is how often the menu follows what changes all the time.
	lookEvery = time.Second
	// calm is the least time between two looks, whatever happens.
	calm = 100 * time.Millisecond
	// saidFor is how long the menu says what came of an order.
	saidFor = time.Minute
	// clickRoom is how many clicks wait while the menu is being changed.
	clickRoom = 16
)

// menu keeps a bar as a source says.
type menu struct {
	bar     bar
	source  Source
	actions Actions
	clicks  chan string
	results chan result

	// What is shown.
	look    Look
	items   []Item
	entries []entry // nil for separators
	titled  time.Time

	// busy are the items whose orders are being carried out.
	busy map[string]bool
	said Problem
	when time.Time
}

// result is what came of an order.
type result struct {
	key string
	err error
}

func newMenu(b bar, s Source, a Actions) *menu {
	return &menu{bar: b, source: s, actions: a, clicks: make(chan string, clickRoom), results: make(chan result, clickRoom), busy: map[string]bool{}}
}

// serve shows the source until ctx is done, and waits for what was asked for.
func (m *menu) serve(ctx context.Context) {
	var doing sync.WaitGroup
	defer doing.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, stop := m.source.Changes()
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	soon := time.NewTimer(0)
	defer soon.Stop()
	last, pending := time.Time{}, true
	for {
		select {
		case <-ctx.Done():
			return
		case key := <-m.clicks:
			m.clicked(ctx, key, &doing)
			continue
		case r := <-m.results:
			delete(m.busy, r.key)
			if m.said, m.when = (Problem{}), time.Now(); r.err != nil && ctx.Err() == nil {
				m.said = saidOf(r.err)
			}
		case <-changes:
		case <-tick.C:
			if pending {
				continue // soon
			}
			m.show(time.Now())
			last = time.Now()
			continue
		case <-soon.C:
			m.show(time.Now())
			last, pending = time.Now(), false
			continue
		}
		if !pending {
			soon.Reset(calm - time.Since(last))
			pending = true
		}
	}
}

// clicked carries out what an item asks for, unless it does already.
func (m *menu) clicked(ctx context.Context, key string, doing *sync.WaitGroup) {
	for _, it := range m.items {
		if it.Key != key || it.Disabled || it.Hidden {
			continue
		}
		if it.Order.Verb == Quit { // it only begins
			m.actions.Quit()
			return
		}
		if it.Order.Verb == Nothing || m.busy[key] {
			return
		}
		m.busy[key] = true
		doing.Go(func() {
			err := perform(ctx, m.actions, it.Order)
			select {
			case m.results <- result{key, err}:
			case <-ctx.Done():
			}
		})
		return
	}
}

func perform(ctx context.Context, a Actions, o Order) error {
	switch o.Verb {
	case Start:
		return a.Start(ctx, o.Of)
	case Stop:
		return a.Stop(ctx)
	case Use:
		return a.Use(ctx, o.Of)
	case Open:
		return a.Open(ctx, o.Of)
	case OpenFile:
		return a.OpenFile(ctx, o.Of)
	case CopyEndpoint:
		return a.Copy(ctx)
	case SetLogin:
		return a.Login(ctx, o.Of == "true")
	}
	return nil
}

// show brings the bar up to date; what is shown already is left alone.
func (m *menu) show(now time.Time) {
	s := m.source.Snapshot()
	if s.Said == (Problem{}) && now.Sub(m.when) < saidFor {
		s.Said = m.said
	}
	m.showLook(LookOf(s), now)
	m.showItems(Items(s))
}

func (m *menu) showLook(l Look, now time.Time) {
	if l.Icon != m.look.Icon {
		m.bar.setIcon(l.Icon)
	}
	if l.Tooltip != m.look.Tooltip {
		m.bar.setTooltip(l.Tooltip)
	}
	if l.Title != m.look.Title {
		if now.Sub(m.titled) < lookEvery-calm {
			l.Title = m.look.Title // the next time
		} else {
			m.bar.setTitle(l.Title)
			m.titled = now
		}
	}
	m.look = l
}

func (m *menu) showItems(items []Item) {
	if m.items == nil {
		for _, it := range items {
			m.entries = append(m.entries, m.bar.add(it, m.clicks))
		}
		m.items = items
		return
	}
	for i, it := range items {
		old, e := m.items[i], m.entries[i]
		if it.Separator {
			continue
		}
		// What becomes visible is made right first.
		if it.Title != old.Title {
			e.setTitle(it.Title)
		}
		if it.Tooltip != old.Tooltip {
			e.setTooltip(it.Tooltip)
		}
		if it.Ticked != old.Ticked {
			e.setTicked(it.Ticked)
		}
		if it.Disabled != old.Disabled {
			e.setDisabled(it.Disabled)
		}
		if it.Hidden != old.Hidden {
			e.setHidden(it.Hidden)
		}
	}
	m.items = items
}
