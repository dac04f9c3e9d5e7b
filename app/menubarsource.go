//go:build tray || desktop

package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/tray"
	"samovar/engine"
	"samovar/engine/infer"
	"samovar/server/latency"
)

const (
	// seenEvery is how often it is looked at what takes longer to see; hereEvery how often
	// for models that somebody else has put here.
	seenEvery = 5 * time.Second
	hereEvery = 5 * time.Minute
	// crashFor is how long the menu tells of a crash, freshFor how long the icon does.
	crashFor = 10 * time.Minute
	freshFor = 10 * time.Second
	// askWithin is how long an engine may take to say who its agents are.
	askWithin = 2 * time.Second
)

// seen is what a snapshot cannot wait for.
type seen struct {
	here   []string
	agents tray.Agents
	login  tray.Login
	// crash is the last one, at crashed.
	crash   tray.Problem
	crashed time.Time
}

// Snapshot implements tray.Source.
func (m *menuBarRun) Snapshot() tray.Snapshot {
	m.mu.Lock()
	o, broken := m.opened, m.broken
	s := tray.Snapshot{
		Version: engine.BuildVersion(), Quitting: m.leaving, Here: m.seen.here, Agents: m.seen.agents, Login: m.seen.login,
	}
	if file := m.where.SettingsFile(); filepath.IsAbs(file) { // else it is not known which
		s.SettingsFile = file
	}
	if since := time.Since(m.seen.crashed); since < crashFor {
		s.Crash, s.Fresh = m.seen.crash, since < freshFor
	}
	m.mu.Unlock()
	if broken != nil {
		s.Broken = whyBroken(broken)
	}
	if o == nil {
		return s
	}
	overview := o.fleet.Overview()
	s.Address, s.Default, s.Models, s.Relief = o.desktop.base, overview.Status, overview.Models, overview.Memory.Relief
	for _, st := range overview.Models {
		s.Running += st.Active + st.Queued
	}
	s.Pulls = o.library.Pulls()
	s.Title = tray.Title(o.desk.build.current().MenuTitle)
	s.Speed = speedOf(o.api.Recent(time.Now()))
	return s
}

// speedOf takes the last minute's times to the first token, or if there were none, the
// last quarter of an hour's.
func speedOf(windows []latency.Window) (s tray.Speed) {
	const ms = float64(time.Millisecond)
	for _, w := range windows {
		ttft := w.Metrics[latency.TTFT]
		if w.Window == "1s" {
			s.TokensPerSecond = w.TokensPerSecond
		} else if !s.Known && ttft.Count > 0 {
			s.Known, s.P50, s.P95 = true, time.Duration(ttft.P50*ms), time.Duration(ttft.P95*ms)
		}
	}
	return s
}

// whyBroken makes an error something to read and something to do.
func whyBroken(err error) tray.Problem {
	text, hint, _ := strings.Cut(strings.ReplaceAll(sentenceOf(err), "\n", "; "), "; ")
	var address *listen.Error
	var wrong usageError
	switch {
	case errors.As(err, &address):
		hint = "Stop it, or choose another address in the settings. Then: Try again."
	case errors.As(err, &wrong) && hint == "":
		hint = "Put it right in the settings file. Then: Try again."
	}
	return tray.Problem{Text: text, Hint: hint}
}

// watch looks at what changes by itself, until ctx is done.
func (m *menuBarRun) watch(ctx context.Context, o *service) {
	moves, stopMoves := o.fleet.Transitions()
	defer stopMoves()
	pulls, stopPulls := o.library.WatchPulls()
	defer stopPulls()
	tick := time.NewTicker(seenEvery)
	defer tick.Stop()
	states, restarts := map[string]infer.PullState{}, map[string]int{}
	asked, looked := time.Time{}, time.Time{}
	for {
		if time.Since(looked) > hereEvery {
			m.look(ctx, o)
			looked = time.Now()
		}
		// Who comes back changes with requests and loads only; an idle engine is left alone.
		overview := o.fleet.Overview()
		m.noteCrashes(overview, restarts)
		if moved := lastMove(overview); overview.State == infer.StateReady && moved.After(asked) {
			asked = time.Now()
			m.askAgents(ctx, o)
		}
		m.mu.Lock()
		m.seen.login = loginOf(o)
		m.mu.Unlock()
		select {
		case <-moves:
			m.changed()
		case p := <-pulls:
			if states[p.Name] == p.State {
				continue // progress is seen by and by
			}
			states[p.Name], looked = p.State, time.Time{}
			m.changed()
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lastMove is when something happened that may have changed who is hot.
func lastMove(o infer.Overview) (at time.Time) {
	for _, s := range o.Models {
		for _, t := range []time.Time{s.Since, s.Used} {
			if t.After(at) {
				at = t
			}
		}
		if s.Active > 0 {
			at = time.Now()
		}
	}
	return at
}

// noteCrashes notes the last of the restarts that nobody wanted; restarts are those that
// are known, by model.
func (m *menuBarRun) noteCrashes(o infer.Overview, restarts map[string]int) {
	for _, st := range o.Models {
		id := st.Model.ID
		if st.Restarts <= restarts[id] {
			continue
		}
		restarts[id] = st.Restarts
		i := slices.IndexFunc(o.Transitions, func(t infer.Transition) bool { return t.Model == id && t.To == infer.StateStarting })
		if i < 0 {
			continue
		}
		m.mu.Lock()
		m.seen.crash, m.seen.crashed = tray.Problem{Text: o.Transitions[i].Reason, Hint: o.Transitions[i].Hint}, o.Transitions[i].At
		m.mu.Unlock()
		m.changed()
	}
}

// look lists the models on this machine.
func (m *menuBarRun) look(ctx context.Context, o *service) {
	var here []string
	for _, l := range o.library.Models(ctx) {
		if l.Problem == "" {
			here = append(here, l.Name)
		}
	}
	m.mu.Lock()
	m.seen.here = here
	m.mu.Unlock()
	m.changed()
}

func (m *menuBarRun) askAgents(ctx context.Context, o *service) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	all, err := o.fleet.Agents(ctx)
	if err != nil {
		return // the next time; what is known stays
	}
	counted := tray.Agents{Known: true}
	for _, a := range all {
		switch a.Tier {
		case infer.TierHot:
			counted.Hot++
		case infer.TierWarm:
			counted.Warm++
		}
	}
	m.mu.Lock()
	m.seen.agents = counted
	m.mu.Unlock()
}

func loginOf(o *service) tray.Login {
	v := o.desktop.Desktop().Login
	return tray.Login{Supported: v.Supported, Enabled: v.Enabled}
}

// watchers are who is told that something has changed.
type watchers struct {
	lock sync.Mutex
	all  []chan struct{}
}

// Changes implements tray.Source.
func (w *watchers) Changes() (feed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.lock.Lock()
	defer w.lock.Unlock()
	w.all = append(w.all, ch)
	return ch, func() {
		w.lock.Lock()
		defer w.lock.Unlock()
		w.all = slices.DeleteFunc(w.all, func(o chan struct{}) bool { return o == ch })
	}
}

func (w *watchers) changed() {
	w.lock.Lock()
	defer w.lock.Unlock()
	for _, ch := range w.all {
		select {
		case ch <- struct{}{}:
		default: // it has yet to look
		}
	}
}

// current returns the settings as they are now.
func (b *fleetBuilder) current() config.Settings {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings
}
