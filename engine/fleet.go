package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/engine/infer"
	"samovar/engine/models"
)

// FleetConfig says which models are served, and what they share.
type FleetConfig struct {
	// Models are those that can be asked for. The first one is the default; it is loaded
	// at once, the others when they are asked for. Room, Leave, Wanted, Moved and OnDemand
	// are the fleet's to set.
	Models []Config
	// Find returns the configuration of a model that is none of Models: it then joins them,
	// on demand. Nil, or ok false, means that there is none.
	Find func(ctx context.Context, name string) (c Config, ok bool)
	// Pinned names models that are not unloaded to make room.
	Pinned []string
	// Memory is what all models may take, in bytes; 0 is what the machine has.
	Memory int64
	// Idle is after how long without a request a model is unloaded, plugged in and on
	// battery; 0 is never.
	Idle, IdleOnBattery time.Duration
	Log                 *slog.Logger
	// Budget says how much memory models may take together, when they take so much; nil
	// asks the system.
	Budget func(taken int64) (int64, error)
}

// Fleet serves several models within one budget of memory, each through an Engine of its
// own. A model that is asked for is loaded; when there is no room for it, the least
// recently used one leaves, with all its KV kept, and its requests, if it has any, go on
// when it is back. Create it with NewFleet, run it with Serve; the other methods may be
// called at any time from any goroutine.
type Fleet struct {
	cfg  FleetConfig
	wake chan struct{}

	opened time.Time

	mu     sync.Mutex
	ctx    context.Context // Serve's; nil before
	serve  func(*member)   // runs a member; nil before Serve
	all    []*member       // the default one first
	asking []*asking
	power  Power
	ladder ladder
	// halted says that all were stopped, and not started since.
	halted bool
	// refusing is what refuses new requests for want of memory; nil if nothing does.
	refusing error
	history  history
}

// member is a model of the fleet.
type member struct {
	*Engine
	id string
	// quit ends its Serve.
	quit   context.CancelFunc
	pinned bool
	// in says that memory is held for it, of bytes; since when; leaving that it is on its
	// way out.
	in, leaving bool
	bytes       int64
	since       time.Time
	// evicted are the models that had to leave for its load.
	evicted []*member
	agents  said[[]infer.Agent]
	saved   said[infer.Savings]
}

// asking is a member that waits for room.
type asking struct {
	m    *member
	need Need
	// evicted are those that were unloaded for it.
	evicted []*member
	granted chan grant // has room for one
}

type grant struct {
	bytes int64
	err   error
}

// NewFleet returns an inert Fleet.
func NewFleet(cfg FleetConfig) *Fleet {
	if cfg.Budget == nil {
		cfg.Budget = models.Budget
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{cfg: cfg, wake: make(chan struct{}, 1), opened: time.Now()}
	for i, c := range cfg.Models {
		c.OnDemand = i > 0
		f.all = append(f.all, f.newMember(c))
	}
	return f
}

func (f *Fleet) newMember(c Config) *member {
	m := &member{id: c.Model.ID, pinned: slices.Contains(f.cfg.Pinned, c.Model.ID)}
	c.Room = func(ctx context.Context, need Need) (int64, error) { return f.room(ctx, m, need) }
	c.Leave = func() { f.left(m) }
	c.Wanted = func() { m.Wake("It was asked for.") }
	c.Idle = f.changed
	c.Moved = func(t infer.Transition) {
		f.history.add(t)
		f.changed()
	}
	m.Engine = New(c)
	return m
}

func (f *Fleet) changed() { signal(f.wake) }

// Serve serves until ctx is done, then stops all workers and waits.
func (f *Fleet) Serve(ctx context.Context) error {
	var group sync.WaitGroup
	var failed error
	var once sync.Once
	serving, end := context.WithCancel(ctx)
	defer end()
	serve := func(m *member) {
		ctx, quit := context.WithCancel(serving)
		m.quit = quit
		group.Go(func() {
			defer quit()
			if err := m.Serve(ctx); err != nil {
				once.Do(func() { failed = err })
				end()
			}
		})
	}
	f.mu.Lock()
	f.ctx, f.serve = serving, serve
	all := slices.Clone(f.all)
	f.mu.Unlock()
	for _, m := range all {
		serve(m)
	}
	f.arrange(serving)
	f.mu.Lock()
	f.serve = nil // nobody joins any more
	f.mu.Unlock()
	group.Wait()
	return failed
}

// members returns all, the default one first.
func (f *Fleet) members() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// find returns the member that a name means; "" means the default one. A model that is
// here, but none of the fleet's yet, joins it.
func (f *Fleet) find(ctx context.Context, name string) (*member, error) {
	all := f.members()
	for _, m := range all {
		if m.answersTo(name) {
			return m, nil
		}
	}
	if f.cfg.Find != nil {
		if c, ok := f.cfg.Find(ctx, name); ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.join(c)
		}
	}
	ids := make([]string, len(all))
	for i, m := range all {
		ids[i] = fmt.Sprintf("%q", m.id)
	}
	hint := fmt.Sprintf("Ask for %s, or leave the model out.", ids[0])
	if len(ids) > 1 {
		hint = fmt.Sprintf("There are %s; without a model it is the first.", strings.Join(ids, ", "))
	}
	return nil, &infer.Error{Code: infer.CodeModelNotFound, Param: "model",
		Message: fmt.Sprintf("The model %q is not served here.", name), Hint: hint}
}

// Generate is Engine.Generate of the model that the request asks for, which is loaded if
// it is not.
func (f *Fleet) Generate(ctx context.Context, r infer.Request) (infer.Stream, error) {
	m, err := f.find(ctx, r.Model)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	err = f.refusing
	f.mu.Unlock()
	if err != nil {
		m.roster.shed(infer.ShedMemory)
		return nil, err
	}
	m.retry(ctx)
	return m.Generate(ctx, r)
}

// Models returns what can be asked for, the default one first.
func (f *Fleet) Models() []infer.Model {
	all := f.members()
	models := make([]infer.Model, len(all))
	for i, m := range all {
		models[i] = m.snapshot().Model
	}
	return models
}

// Status returns a snapshot of the default model's engine.
func (f *Fleet) Status() infer.Status { return f.statusOf(f.members()[0]) }

func (f *Fleet) statusOf(m *member) infer.Status {
	s := m.Status()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Pinned = m.pinned
	return s
}

// Overview returns a snapshot of all.
func (f *Fleet) Overview() infer.Overview {
	var o infer.Overview
	for _, m := range f.members() {
		o.Models = append(o.Models, f.statusOf(m))
	}
	o.Status, o.Opened = o.Models[0], f.opened
	o.Transitions = f.history.last()
	f.mu.Lock()
	defer f.mu.Unlock()
	o.Memory = f.memory()
	return o
}

// Progress returns how far each request is that has not ended, model by model.
func (f *Fleet) Progress() []infer.Progress {
	var all []infer.Progress
	for _, m := range f.members() {
		all = append(all, m.Progress()...)
	}
	return all
}

// Default returns the engine of the default model.
func (f *Fleet) Default() *Engine { return f.members()[0].Engine }

// Transitions returns a feed of the changes of models' states, until stop is called. A
// reader that is slow misses some.
func (f *Fleet) Transitions() (feed <-chan infer.Transition, stop func()) { return f.history.watch() }

// Start has a model loaded; "" means all that were stopped, and the default one loaded.
func (f *Fleet) Start(model string) error {
	if model != "" {
		m, err := f.find(context.Background(), model)
		if err == nil {
			m.Start("Somebody asked for it.")
		}
		return err
	}
	f.halt(false)
	for i, m := range f.members() {
		if i == 0 {
			m.Start("Somebody asked for it.")
		} else {
			m.admit()
		}
	}
	return nil
}

// Stop stops a model, or all if it is "": it takes no requests until it is started. All
// is kept. It returns when the workers have left.
func (f *Fleet) Stop(ctx context.Context, model string) error {
	if model == "" {
		f.halt(true)
	}
	return f.each(model, func(m *member) error {
		f.remember(ctx, m)
		return m.Stop(ctx)
	})
}

// Unload frees the memory of a model, or of all if it is "", until it is asked for again.
func (f *Fleet) Unload(ctx context.Context, model string) error {
	return f.each(model, func(m *member) error { return f.unload(ctx, m, "Somebody asked for it.") })
}

// Restart gives a model another worker, or all that have one if it is "".
func (f *Fleet) Restart(model, reason string) error {
	return f.each(model, func(m *member) error {
		switch m.snapshot().State {
		case infer.StateUnloaded, infer.StateStopped, infer.StateFailed:
			if model == "" {
				return nil // it has none
			}
		}
		f.remember(context.Background(), m)
		m.Restart(reason)
		return nil
	})
}

// Pin keeps a model from being unloaded to make room, or lets go of it.
func (f *Fleet) Pin(model string, pinned bool) error {
	m, err := f.find(context.Background(), model)
	if err != nil {
		return err
	}
	f.mu.Lock()
	m.pinned = pinned
	f.mu.Unlock()
	f.changed()
	return nil
}

// Apply changes the settings of a model's worker.
func (f *Fleet) Apply(model string, s Settings) error {
	return f.each(model, func(m *member) error {
		m.Apply(s)
		return nil
	})
}

// each does something with a model, or with all at once if it is "".
func (f *Fleet) each(model string, do func(*member) error) error {
	if model != "" {
		m, err := f.find(context.Background(), model)
		if err != nil {
			return err
		}
		return do(m)
	}
	all := f.members()
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, m := range all {
		group.Go(func() { errs[i] = do(m) })
	}
	group.Wait()
	return cmp.Or(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}

// join returns the member of that configuration, which is a new one if there is none of
// its name. The lock is held.
func (f *Fleet) join(c Config) (*member, error) {
	if i := slices.IndexFunc(f.all, func(m *member) bool { return m.id == c.Model.ID }); i >= 0 {
		return f.all[i], nil
	}
	if f.serve == nil {
		return nil, &infer.Error{Code: infer.CodeStopped, Message: "Samovar is not serving."}
	}
	c.OnDemand = true
	m := f.newMember(c)
	if f.halted {
		m.hold("All models are stopped.")
	}
	f.all = append(f.all, m)
	f.serve(m)
	return m, nil
}

// Forget has a model leave the fleet: its requests end, its memory is free when Forget
// returns. One that is not of the fleet is none to forget; the default one stays.
func (f *Fleet) Forget(ctx context.Context, name string) error {
	for i, m := range f.members() {
		if !m.answersTo(name) {
			continue
		}
		if i == 0 {
			return &infer.Error{Code: infer.CodeConflict, Message: fmt.Sprintf("The model %q is the default one.", m.id), Hint: "Set another model first."}
		}
		if err := m.Stop(ctx); err != nil {
			return err
		}
		f.mu.Lock()
		f.all = slices.DeleteFunc(f.all, func(o *member) bool { return o == m })
		m.quit()
		f.mu.Unlock()
	}
	return nil
}

// Busy says whether any model has requests.
func (f *Fleet) Busy() bool {
	for _, m := range f.members() {
		if any, _ := m.roster.waits(); any {
			return true
		}
	}
	return false
}

// Use makes another model the default one, once it is loaded; the one before can still be
// asked for. If it cannot be loaded, all stays as it was, and the error says why.
func (f *Fleet) Use(ctx context.Context, c Config) error {
	f.mu.Lock()
	joined := !slices.ContainsFunc(f.all, func(m *member) bool { return m.id == c.Model.ID })
	m, err := f.join(c)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	m.Start("It is to be the default model.")
	err = m.settle(ctx)
	if s := m.snapshot(); err == nil && s.State != infer.StateReady {
		err = errors.New(strings.TrimSpace(s.Reason + " " + s.Hint))
	}
	if err != nil {
		f.bringBack()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(f.all), func(o *member) bool { return o == m })
	switch {
	case err == nil:
		f.all = append([]*member{m}, others...)
	case joined:
		f.all = others
		m.quit()
	}
	return err
}
