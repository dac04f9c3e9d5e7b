package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"samovar/app/config"
	"samovar/app/instance"
	"samovar/app/listen"
	"samovar/app/notify"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/server"
)

// serve opens a service and serves until ctx is done.
func serve(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) (err error) {
	opened, err := openService(ctx, p, inv, s, where, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	if err := opened.record(where, false); err != nil {
		return err
	}
	announce(p.Stderr, opened.log, s, inv, opened.model, opened.ln.Addr())
	return opened.serve(ctx)
}

// service is everything that serves, opened in order: what `samovar serve` and the menu
// bar have in common.
type service struct {
	settings config.Settings
	log      *slog.Logger
	library  *library
	fleet    *engine.Fleet
	desk     *admin
	desktop  *desktop
	api      *server.Server
	ln       net.Listener
	// model is the default one's name, token the page's.
	model, token string
	// closing undoes what was opened, the last one first.
	closing []func() error
}

// openService checks what can be checked at once, opens the port, and only then does
// what takes time: health answers while the model is still being made. Whoever opens a
// service closes it.
func openService(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) (_ *service, err error) {
	ring := newLogRing(log.Handler())
	o := &service{settings: s, log: slog.New(ring)}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if o.library, err = openLibrary(s, where, p.LookupEnv, o.log); err != nil {
		return nil, err
	}
	o.onClose(func() error { o.library.close(); return nil })
	build := &fleetBuilder{settings: s, where: where, library: o.library, log: o.log}
	cfg, err := build.fleet(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.claim(ctx, where); err != nil {
		return nil, err
	}
	if cfg, err = build.folders(cfg); err != nil {
		return nil, err
	}
	cfg.Find = build.find
	o.model, o.fleet = cfg.Models[0].Model.ID, engine.NewFleet(cfg)
	if !s.StartAtLaunch {
		o.fleet.Hold()
	}
	o.library.fleet = o.fleet
	if o.desk, err = newAdmin(ctx, p, inv, where, build, o.fleet, ring); err != nil {
		return nil, err
	}
	if o.token, err = instance.Token(where.PageTokenFile()); err != nil {
		return nil, err
	}
	o.desktop = newDesktop(p, inv, where, "http://"+o.ln.Addr().String())
	o.api = server.New(server.Options{
		Engine: serving{o.fleet, o.library}, Library: o.library, Admin: o.desk, Desktop: o.desktop,
		DrainTimeout: inv.drain, Page: p.Page, PageToken: o.token, Version: engine.BuildVersion(), Log: o.log,
	})
	return o, nil
}

// claim takes what only one samovar can have: the data folder, and then the port, so that
// a second start finds out that the port is taken by the first.
func (o *service) claim(ctx context.Context, where paths.Paths) error {
	lock, err := where.Lock()
	if err != nil {
		return err
	}
	o.onClose(lock.Close)
	if o.ln, err = listen.TCP(ctx, o.settings.Addr); err != nil {
		return err
	}
	o.onClose(func() error { o.ln.Close(); return nil }) // the server closes it first, but for errors up to there
	if o.settings.AddrFile != "" {
		if err := writeAddrFile(o.settings.AddrFile, o.ln.Addr()); err != nil {
			return err
		}
		o.onClose(func() error { os.Remove(o.settings.AddrFile); return nil }) // the lock is what counts
	}
	return nil
}

// record tells windows and later starts that this one serves, and whether it has a menu
// bar, until it is closed.
func (o *service) record(where paths.Paths, tray bool) error {
	path := where.InstanceFile()
	if err := instance.Write(path, instance.Record{PID: os.Getpid(), Addr: o.ln.Addr().String(), Token: o.token, Tray: tray, Version: engine.BuildVersion()}); err != nil {
		return err
	}
	o.onClose(func() error { return instance.Remove(path) })
	return nil
}

func (o *service) onClose(undo func() error) { o.closing = append(o.closing, undo) }

// close gives back everything that was opened.
func (o *service) close() error {
	var errs []error
	for _, undo := range slices.Backward(o.closing) {
		errs = append(errs, undo())
	}
	o.closing = nil
	return errors.Join(errs...)
}

// serve answers requests until ctx is done, and then stops in order.
func (o *service) serve(ctx context.Context) error {
	defer o.desk.reloads.Wait()
	defer reloadOnHangup(ctx, o.desk)()
	return together(ctx, o.log, func(ctx context.Context) error { return o.api.Serve(ctx, o.ln) }, func(ctx context.Context) error {
		watching, stop := context.WithCancel(ctx)
		var watched sync.WaitGroup
		watched.Go(func() { watchMachine(watching, o.fleet, o.settings.KeepAwake, o.log) })
		watched.Go(func() { o.notify(watching, notify.NewSender(notify.Options{Run: runProgram})) })
		defer watched.Wait()
		defer stop()
		return o.fleet.Serve(ctx)
	})
}

// reloadOnHangup reads the settings again at each SIGHUP, until the function that it
// returns is called. Those of the models' workers are applied; requests wait for the next
// ones. Another model takes the place of the default one once it is loaded. Of the other
// settings it says that they need a restart.
func reloadOnHangup(ctx context.Context, desk *admin) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var done sync.WaitGroup
	done.Go(func() {
		for range hangups {
			desk.reload(ctx)
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		close(hangups)
		done.Wait()
	}
}

// together runs server and engine, and stops the engine only after the server
// has finished its streams. Whatever ends one ends both.
func together(ctx context.Context, log *slog.Logger, serveAPI, serveEngine func(context.Context) error) error {
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	apiCtx, stopAPI := context.WithCancel(ctx)
	defer stopAPI()
	unwatch := context.AfterFunc(ctx, func() { log.Info("stopping; a second signal stops at once") })
	defer unwatch()

	var group errgroup.Group
	group.Go(func() error {
		defer stopEngine()
		return serveAPI(apiCtx)
	})
	group.Go(func() error {
		defer stopAPI()
		return serveEngine(engineCtx)
	})
	err := group.Wait()
	if ctx.Err() != nil {
		log.Info("stopped")
	}
	return err
}

// writeAddrFile tells scripts the address that port 0 became. The file appears
// whole or not at all.
func writeAddrFile(path string, addr net.Addr) error {
	dir, name := filepath.Split(path)
	tmp, err := os.CreateTemp(filepath.Clean(dir+"."), name+".*")
	if err != nil {
		return usageError{fmt.Errorf("cannot write --addr-file: %w", err)}
	}
	_, err = fmt.Fprintln(tmp, addr)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return usageError{errors.Join(fmt.Errorf("cannot write --addr-file: %w", err), os.Remove(tmp.Name()))}
	}
	return nil
}

// announce tells a newcomer where we are and what to try; with JSON logs it is
// one record.
func announce(stderr io.Writer, log *slog.Logger, s config.Settings, inv invocation, model string, addr net.Addr) {
	if s.JSONLogs {
		log.Info("listening", "addr", addr.String(), "model", model, "version", engine.BuildVersion())
		return
	}
	if inv.bare && !hasMenuBar {
		fmt.Fprintln(stderr, "This build has no menu bar, so it serves, as `samovar serve` would. All commands: samovar --help")
	}
	does := "loads the model " + model
	if !s.StartAtLaunch {
		does = "loads nothing: its models are stopped until `samovar start`"
	}
	fmt.Fprintf(stderr, `Samovar %s listens on http://%s and %s.
Try it:   curl -s http://%s/v1/chat/completions -d '{"messages":[{"role":"user","content":"What can you do?"}]}'
Stop it:  Ctrl-C
`, engine.BuildVersion(), addr, does, addr)
}
