//go:build tray || desktop

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/app/tray"
	"samovar/engine"
)

const (
	// signalPatience is how long running answers may take once the process was told to end,
	// quitPatience once its user asked for it, who can see them and lose patience;
	// logoutPatience once the system ends us, which would not wait much longer.
	signalPatience = 10 * time.Second
	quitPatience   = time.Hour
	logoutPatience = 3 * time.Second
	// panelWithin is how long a menu that has nothing but bad news waits for a panel: at a
	// login, one may come after us.
	panelWithin = 10 * time.Second
	// panelSoon is how long the window waits for one, before it opens for want of it.
	panelSoon = 3 * time.Second
	panelPoll = 100 * time.Millisecond
	// othersPoll is how often a menu over nothing looks whether somebody else serves.
	othersPoll = 2 * time.Second
)

// hasMenuBar says whether this build has one.
const hasMenuBar = true

// menuBar serves, with a menu in the menu bar. If there is no desktop to show it in, it
// says so and serves. problem is what is wrong with the settings, if anything is: then the
// menu says so.
func menuBar(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger, problem error) error {
	inv.drain = quitPatience
	session, err := tray.OpenSession(context.WithoutCancel(ctx), p.LookupEnv)
	if err != nil {
		inv.drain = 0
		if problem != nil {
			return problem
		}
		log.Warn("no menu bar can be shown, so it serves, as `samovar serve` would", "why", err.Error())
		return serve(ctx, p, inv, s, where, log)
	}
	defer session.Close()
	slog.SetDefault(log) // systray complains through Go's own log
	m := &menuBarRun{p: p, inv: inv, where: where, log: log, session: session, retries: make(chan struct{}, 1), ended: make(chan struct{})}
	var first *service
	if problem == nil {
		// Before anything is shown: whoever finds that another samovar has this data folder
		// leaves at once.
		if first, problem = openService(ctx, p, inv, s, where, log); isHeld(problem) {
			return problem
		}
	}
	return m.run(ctx, first, problem)
}

func isHeld(err error) bool {
	var held *paths.HeldError
	return errors.As(err, &held)
}

// menuBarRun is a run with a menu bar: a service, if one could be opened, and the menu
// that shows it.
type menuBarRun struct {
	p       Process
	inv     invocation
	where   paths.Paths
	log     *slog.Logger
	session *tray.Session
	watchers
	// retries are asked for when nothing is served; ended is closed at the end.
	retries chan struct{}
	ended   chan struct{}

	mu sync.Mutex
	// opened is what serves; broken says why nothing does.
	opened *service
	broken error
	// leave ends the service; leaving says that it was called.
	leave   context.CancelFunc
	leaving bool
	seen    seen
	// linked is a page that a link asked for before anything was served.
	linked string
}

// run shows the menu on this goroutine, the process's main one, and serves on another.
func (m *menuBarRun) run(ctx context.Context, first *service, problem error) error {
	serving, leave := context.WithCancel(ctx)
	defer leave()
	m.leave = leave
	// A signal, or the end of the desktop.
	defer context.AfterFunc(ctx, func() { m.quit(signalPatience) })()
	go func() {
		select {
		case <-m.session.Lost():
			m.log.Warn("the desktop is gone")
			m.quit(signalPatience)
		case <-m.ended:
		}
	}()
	showing, hide := context.WithCancel(context.WithoutCancel(ctx))
	defer hide()
	var err error
	go func() {
		defer hide()
		defer close(m.ended)
		err = m.serve(serving, first, problem)
	}()
	tray.Run(showing, tray.Options{Source: m, Actions: m, URL: m.follow, Reopened: m.reopened, Exit: func() {
		m.quit(logoutPatience)
		<-m.ended
	}})
	<-m.ended
	return err
}

// serve serves until ctx is done. When that fails, it says why until it is to try again.
func (m *menuBarRun) serve(ctx context.Context, opened *service, err error) error {
	for {
		if err == nil {
			err = m.serveOne(ctx, opened)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		m.log.Error("nothing is served", "err", err)
		m.set(nil, err)
		if !m.awaitRetry(ctx) {
			return err
		}
		m.set(nil, nil)
		opened, err = m.open(ctx)
	}
}

// awaitRetry waits until somebody has it try again, in the menu or by the signal that has
// settings read again. It returns false once ctx is done, or this menu is of no use: without
// a panel nobody sees it, and once another one serves from the data folder that one counts.
func (m *menuBarRun) awaitRetry(ctx context.Context) bool {
	look := time.NewTicker(panelWithin)
	defer look.Stop()
	others := time.NewTicker(othersPoll)
	defer others.Stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-m.retries:
			return true
		case <-hangups:
			return true
		case <-look.C:
			if !m.session.Hosted() {
				return false
			}
		case <-others.C:
			if _, err := findAnother(ctx, m.where, 0, 0); err == nil {
				m.log.Info("another samovar serves from the data folder by now, so this one goes")
				return false
			}
		}
	}
}

// open reads the settings again: they may be what was wrong.
func (m *menuBarRun) open(ctx context.Context) (*service, error) {
	s, where, err := resolve(m.inv.flags, m.p.LookupEnv)
	if err != nil {
		return nil, usageError{err}
	}
	m.mu.Lock()
	m.where = where
	m.mu.Unlock()
	return openService(ctx, m.p, m.inv, s, where, m.log)
}

// serveOne serves until ctx is done or that fails.
func (m *menuBarRun) serveOne(ctx context.Context, o *service) (err error) {
	defer func() { err = errors.Join(err, o.close()) }()
	window, closeWindow := newWindow(m.p, m.inv, o.log)
	defer closeWindow()
	o.desktop.has(window)
	if err := o.record(m.where, true); err != nil {
		return err
	}
	announceMenuBar(m.p.Stderr, o, m.session.Hosted())
	m.set(o, nil)
	defer m.set(nil, nil)
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watched sync.WaitGroup
	watched.Go(func() { m.openFirst(ctx, o) })
	watched.Go(func() { m.watch(watching, o) })
	defer watched.Wait()
	defer stop()
	return o.serve(ctx)
}

func (m *menuBarRun) set(o *service, broken error) {
	m.mu.Lock()
	m.opened, m.broken = o, broken
	m.mu.Unlock()
	m.changed()
}

// quit has the service end, once running answers have, or patience is over.
func (m *menuBarRun) quit(patience time.Duration) {
	m.mu.Lock()
	m.leaving = true
	o := m.opened
	m.mu.Unlock()
	m.leave()
	m.changed()
	if o == nil {
		return
	}
	hurry := time.AfterFunc(patience, o.api.Hurry)
	go func() {
		<-m.ended
		hurry.Stop()
	}()
}

// announceMenuBar tells who started this in a terminal where it went.
func announceMenuBar(w io.Writer, o *service, hosted bool) {
	if o.settings.JSONLogs {
		o.log.Info("listening", "addr", o.ln.Addr().String(), "model", o.model, "version", engine.BuildVersion(), "menu_bar", hosted)
		return
	}
	place := "is in the menu bar"
	if !hosted {
		place = "has no panel to be shown in yet (on GNOME: the extension AppIndicator shows it)"
	}
	does := "loads the model " + o.model
	if !o.settings.StartAtLaunch {
		does = "loads nothing: its models are stopped until Start in the menu"
	}
	fmt.Fprintf(w, "Samovar %s, listens on http://%s and %s.\n", place, o.ln.Addr(), does)
}
