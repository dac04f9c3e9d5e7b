package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"samovar/engine/infer"
	"samovar/engine/models/catalogue"
	"samovar/engine/models/download"
	"samovar/engine/models/hfcache"
	"samovar/engine/models/hub"
	"samovar/engine/models/registry"
)

// Options are a Manager's. All but Token and Log are needed.
type Options struct {
	Hub *hub.Client
	// Token is sent to the Hub's host.
	Token    string
	Download *download.Downloader
	Registry *registry.Registry
	Cache    *hfcache.Cache
	// Dir is where files go that are not the Hub's.
	Dir string
	Log *slog.Logger
}

// Manager runs downloads. Create it with New and end it with Close; its methods may be
// called from any goroutine.
type Manager struct {
	o   Options
	ctx context.Context
	end context.CancelFunc
	all sync.WaitGroup

	mu       sync.Mutex
	pulls    []*running // the last asked for last
	watchers []chan infer.Pull
}

// running is a download that runs, or that has ended.
type running struct {
	ref   hub.Ref
	entry *catalogue.Entry // nil if it is not the catalogue's
	// stop ends it, in the state that end says.
	stop func(end infer.PullState)
	done chan struct{} // closed when it has ended
	// The manager's lock guards what follows.
	now infer.Pull
}

// remembered is how many downloads that have ended are listed.
const remembered = 32

// New returns a Manager that has nothing to do.
func New(o Options) *Manager {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, end := context.WithCancel(context.Background())
	return &Manager{o: o, ctx: ctx, end: end}
}

// Close ends all downloads, and waits. What they have stays for the next time.
func (m *Manager) Close() {
	m.end()
	m.all.Wait()
}

// Start downloads a model, if that does not run already: the catalogue's name, a
// repository of the Hub with or without a quantisation, or an address. A name that cannot
// be one is an *infer.Error; what goes wrong later is told by the Pull.
func (m *Manager) Start(name string) (infer.Pull, error) {
	r := &running{done: make(chan struct{}), now: infer.Pull{Name: name, State: infer.PullStarting, Started: time.Now()}}
	var err error
	if r.ref, r.entry, err = meant(name); err != nil {
		return infer.Pull{}, err
	}
	ref := r.ref
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return infer.Pull{}, &infer.Error{Code: infer.CodeStopped, Message: "Samovar is stopping."}
	}
	for _, o := range m.pulls {
		if o.ref == ref && !o.now.State.Ended() {
			return o.now, nil
		}
	}
	m.pulls = slices.DeleteFunc(m.pulls, func(o *running) bool { return o.ref == ref })
	if len(m.pulls) >= remembered {
		i := slices.IndexFunc(m.pulls, func(o *running) bool { return o.now.State.Ended() })
		if i >= 0 {
			m.pulls = slices.Delete(m.pulls, i, i+1)
		}
	}
	m.pulls = append(m.pulls, r)
	ctx, cancel := context.WithCancel(m.ctx)
	ending := infer.PullCancelled
	r.stop = func(end infer.PullState) {
		m.mu.Lock()
		ending = end
		m.mu.Unlock()
		cancel()
	}
	m.all.Go(func() {
		defer cancel()
		model, err := m.fetch(ctx, r)
		m.mu.Lock()
		stopped := ctx.Err() != nil && errors.Is(err, context.Canceled)
		m.finish(r, model, err, stopped, ending)
		m.mu.Unlock()
		close(r.done)
	})
	return r.now, nil
}

// CheckName says why that cannot be the name of a model to download, or nil.
func CheckName(name string) error {
	_, _, err := meant(name)
	return err
}

// meant is what a name means, and the catalogue's entry if it is one of its.
func meant(name string) (hub.Ref, *catalogue.Entry, error) {
	if e, ok := catalogue.Find(name); ok {
		ref, err := hub.ParseRef(e.Ref())
		return ref, &e, err
	}
	ref, err := hub.ParseRef(name)
	if err != nil {
		return ref, nil, refused(err)
	}
	return ref, nil, nil
}

// finish puts down how a download has ended. The lock is held.
func (m *Manager) finish(r *running, model string, err error, stopped bool, ending infer.PullState) {
	p := &r.now
	p.Ended, p.BytesPerSecond, p.Left = time.Now(), 0, 0
	switch {
	case err == nil:
		p.State, p.Model, p.Done = infer.PullDone, model, p.Total
		m.o.Log.Info("a model was downloaded", "model", model, "bytes", p.Total, "took", p.Ended.Sub(p.Started).Round(time.Second).String())
	case stopped:
		p.State = ending
	default:
		p.State = infer.PullFailed
		p.Error, p.Hint = words(err)
		m.o.Log.Warn("a model could not be downloaded", "model", p.Name, "err", err)
	}
	m.tell(*p)
}

// tell tells whoever watches; who is slow misses some. The lock is held.
func (m *Manager) tell(p infer.Pull) {
	for _, w := range m.watchers {
		select {
		case w <- p:
		default:
		}
	}
}

// update changes what is known of a download, and tells of it.
func (m *Manager) update(r *running, change func(*infer.Pull)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&r.now)
	m.tell(r.now)
}

// Watch returns a feed of what becomes of downloads, until stop is called.
func (m *Manager) Watch() (feed <-chan infer.Pull, stop func()) {
	w := make(chan infer.Pull, 64)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers = append(m.watchers, w)
	return w, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers = slices.DeleteFunc(m.watchers, func(o chan infer.Pull) bool { return o == w })
	}
}

// Pulls lists the downloads that run, and the last that have ended, the newest first.
func (m *Manager) Pulls() []infer.Pull {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]infer.Pull, 0, len(m.pulls))
	for _, r := range slices.Backward(m.pulls) {
		all = append(all, r.now)
	}
	return all
}

// find returns the download of a name.
func (m *Manager) find(name string) (*running, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range slices.Backward(m.pulls) {
		if r.now.Name == name || r.now.Model == name && name != "" || r.ref.String() == name {
			return r, nil
		}
	}
	return nil, &infer.Error{Code: infer.CodeNotFound, Message: fmt.Sprintf("No download of %q is known.", name)}
}

// Wait waits until a download has ended, or ctx is done.
func (m *Manager) Wait(ctx context.Context, name string) (infer.Pull, error) {
	r, err := m.find(name)
	if err != nil {
		return infer.Pull{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return infer.Pull{}, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.now, nil
}

// Pause ends a download for now: Start goes on with what there is.
func (m *Manager) Pause(ctx context.Context, name string) (infer.Pull, error) {
	return m.stop(ctx, name, infer.PullPaused)
}

// Cancel ends a download and deletes what there is of it.
func (m *Manager) Cancel(ctx context.Context, name string) (infer.Pull, error) {
	p, err := m.stop(ctx, name, infer.PullCancelled)
	if err != nil || p.State == infer.PullDone {
		return p, err
	}
	r, err := m.find(name)
	if err != nil {
		return p, err
	}
	m.mu.Lock() // there is nothing to list any more
	if r.now.State == infer.PullFailed {
		m.pulls = slices.DeleteFunc(m.pulls, func(o *running) bool { return o == r })
		p.State = infer.PullCancelled
		m.tell(p)
	}
	m.mu.Unlock()
	return p, m.discard(r)
}

func (m *Manager) stop(ctx context.Context, name string, end infer.PullState) (infer.Pull, error) {
	r, err := m.find(name)
	if err != nil {
		return infer.Pull{}, err
	}
	r.stop(end)
	p, err := m.Wait(ctx, name)
	if err == nil && p.State == infer.PullPaused && end == infer.PullCancelled {
		m.update(r, func(p *infer.Pull) { p.State = end })
		p.State = end
	}
	return p, err
}

// refused makes an error of a name one that clients understand.
func refused(err error) error {
	message, hint := words(err)
	return &infer.Error{Code: infer.CodeInvalid, Param: "model", Message: message, Hint: hint, Err: err}
}

// words are what a person is told of an error.
func words(err error) (message, hint string) {
	var h *hub.Error
	var d *download.Error
	var e *infer.Error
	switch {
	case errors.As(err, &h):
		return h.Message, h.Hint
	case errors.As(err, &d):
		return d.Message, d.Hint
	case errors.As(err, &e):
		return e.Message, e.Hint
	}
	return err.Error(), ""
}
