package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/resident"
)

// room implements Config.Room: it waits for its turn and until others have left.
func (f *Fleet) room(ctx context.Context, m *member, need Need) (int64, error) {
	a := &asking{m: m, need: need, granted: make(chan grant, 1)}
	f.mu.Lock()
	f.asking = append(f.asking, a)
	f.mu.Unlock()
	f.changed()
	select {
	case g := <-a.granted:
		return g.bytes, g.err
	case <-ctx.Done():
	}
	defer f.changed() // others may be next
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking = slices.DeleteFunc(f.asking, func(o *asking) bool { return o == a })
	select {
	case g := <-a.granted: // just now
		if g.err == nil {
			m.in, m.bytes = false, 0
		}
	default:
	}
	return 0, ctx.Err()
}

// left implements Config.Leave.
func (f *Fleet) left(m *member) {
	f.mu.Lock()
	m.in, m.leaving, m.bytes = false, false, 0
	f.mu.Unlock()
	f.changed()
}

// arrange makes room and has models leave, until ctx is done.
func (f *Fleet) arrange(ctx context.Context) {
	var unloading sync.WaitGroup
	defer unloading.Wait()
	for {
		after := f.look(time.Now(), func(m *member, why string) {
			unloading.Go(func() { f.dismiss(ctx, m, why) })
		})
		var later <-chan time.Time
		if after > 0 {
			later = time.After(after)
		}
		select {
		case <-f.wake:
		case <-later:
		case <-ctx.Done():
			return
		}
	}
}

// look does what there is to do now, and says when to look again; 0 is when something
// has changed.
func (f *Fleet) look(now time.Time, unload func(m *member, why string)) time.Duration {
	f.bringBack()
	f.mu.Lock()
	defer f.mu.Unlock()
	climb := f.climb(now)
	budget := f.budget(0)
	limits := resident.Limits{Bytes: budget, Idle: f.cfg.Idle, Squeeze: f.ladder.at >= resident.Unload}
	if f.power.OnBattery {
		limits.Idle = f.cfg.IdleOnBattery
	}
	var first []resident.Asking
	for len(f.asking) > 0 && len(first) == 0 {
		a := f.asking[0]
		bytes, err := a.need(budget)
		if err != nil { // not even alone
			f.answer(grant{err: err})
			continue
		}
		first = append(first, resident.Asking{ID: a.m.id, Bytes: bytes})
	}
	present := f.residents()
	plan := resident.Plan(present, first, limits, now)
	f.doubt(&plan, present)
	for _, id := range plan.Unload {
		m := f.byID(id)
		m.leaving = true
		why := "It was not used for " + limits.Idle.String() + "."
		switch {
		case slices.Contains(plan.Wait, id):
			why = fmt.Sprintf("It makes room for %s.", f.asking[0].m.id)
			f.asking[0].evicted = append(f.asking[0].evicted, m)
		case limits.Squeeze:
			why = "Memory is scarce on this machine."
		}
		unload(m, why)
	}
	if len(first) > 0 && !plan.Admit {
		f.asking[0].m.says("It waits for the memory of " + strings.Join(plan.Wait, ", ") + ".")
	}
	if plan.Admit {
		m := f.asking[0].m
		m.in, m.bytes, m.since = true, plan.Grant, now
		m.says("")
		f.answer(grant{bytes: plan.Grant})
		if len(f.asking) > 0 {
			f.changed()
		}
	}
	if plan.After == 0 || climb > 0 && climb < plan.After {
		return climb
	}
	return plan.After
}

// answer answers the first that asks. The lock is held.
func (f *Fleet) answer(g grant) {
	f.asking[0].m.evicted = f.asking[0].evicted
	f.asking[0].granted <- g
	f.asking = f.asking[1:]
}

// doubt has the first that asks wait for those that are being loaded if it is not sure
// how much of what is free will be theirs. The lock is held.
func (f *Fleet) doubt(plan *resident.Actions, present []resident.Model) {
	var loading []string
	taken, coming := int64(0), int64(0)
	for _, m := range present {
		taken += m.Bytes
		if m.Loading {
			coming += m.Bytes
			loading = append(loading, m.ID)
		}
	}
	if plan.Admit && len(loading) > 0 && plan.Grant > max(f.budget(coming)-taken, 0) {
		plan.Admit, plan.Grant, plan.Wait = false, 0, loading
	}
}

// budget is what all models may take. Of what is reserved for them, so much may not be
// taken yet. The lock is held.
func (f *Fleet) budget(coming int64) int64 {
	taken := -coming
	for _, m := range f.all {
		taken += m.bytes
	}
	all, err := f.cfg.Budget(taken)
	if err != nil {
		return cmp.Or(f.cfg.Memory, 1<<62) // the workers will find out
	}
	if f.cfg.Memory > 0 {
		return min(f.cfg.Memory, all)
	}
	return all
}

// residents are the models that take memory. The lock is held.
func (f *Fleet) residents() []resident.Model {
	var all []resident.Model
	for _, m := range f.all {
		if !m.in {
			continue
		}
		s := m.snapshot()
		busy, used := m.roster.waits()
		if used.Before(m.since) {
			used = m.since
		}
		all = append(all, resident.Model{ID: m.id, Bytes: m.bytes, Leaving: m.leaving || s.State == infer.StateDraining,
			Loading: s.State == infer.StateStarting, Busy: busy, Pinned: m.pinned, Used: used, Since: m.since, Swap: s.LoadTime + s.UnloadTime})
	}
	return all
}

func (f *Fleet) byID(id string) *member {
	return f.all[slices.IndexFunc(f.all, func(m *member) bool { return m.id == id })]
}

// unload unloads a member. What is known of its agents stays known.
func (f *Fleet) unload(ctx context.Context, m *member, why string) error {
	f.remember(ctx, m)
	return m.Unload(ctx, why)
}

// dismiss unloads a member that is to leave, unless something else was ordered meanwhile.
func (f *Fleet) dismiss(ctx context.Context, m *member, why string) {
	f.remember(ctx, m)
	_ = m.Yield(ctx, why) // its only error is ctx's
	f.mu.Lock()
	m.leaving = false
	f.mu.Unlock()
	f.changed()
}

// bringBack loads models again that had left for one that then failed to load.
func (f *Fleet) bringBack() {
	f.mu.Lock()
	var back []*member
	for _, m := range f.all {
		switch s := m.snapshot(); {
		case len(m.evicted) == 0:
		case s.State == infer.StateReady:
			m.evicted = nil
		case s.State == infer.StateFailed:
			back = append(back, m.evicted...)
			m.evicted = nil
		}
	}
	f.mu.Unlock()
	for _, m := range back {
		m.Wake("The model that took its place could not be loaded.")
	}
}
