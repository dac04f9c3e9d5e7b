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
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/server"
)

// serve checks what can be checked at once, opens the port, and only then does
// what takes time: health answers while the model is still being made.
func serve(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) (err error) {
	ring := newLogRing(log.Handler())
	log = slog.New(ring)
	lib, err := openLibrary(s, where, p.LookupEnv, log)
	if err != nil {
		return err
	}
	defer lib.close()
	build := &fleetBuilder{settings: s, where: where, library: lib, log: log}
	cfg, err := build.fleet(ctx)
	if err != nil {
		return err
	}
	ln, err := listen.TCP(ctx, s.Addr)
	if err != nil {
		return err
	}
	defer ln.Close() // the server closes it first, but for errors up to there
	lock, err := where.Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if s.AddrFile != "" {
		if err := writeAddrFile(s.AddrFile, ln.Addr()); err != nil {
			return err
		}
		defer os.Remove(s.AddrFile)
	}

	if cfg, err = build.folders(cfg); err != nil {
		return err
	}
	cfg.Find = build.find
	fleet := engine.NewFleet(cfg)
	lib.fleet = fleet
	desk, err := newAdmin(ctx, p, inv, where, build, fleet, ring)
	if err != nil {
		return err
	}
	api := server.New(server.Options{Engine: serving{fleet, lib}, Library: lib, Admin: desk, Page: p.Page, Version: engine.BuildVersion(), Log: log})
	announce(p.Stderr, log, s, inv, cfg.Models[0].Model.ID, ln.Addr())
	defer desk.reloads.Wait()
	defer reloadOnHangup(ctx, desk)()
	return together(ctx, log, func(ctx context.Context) error { return api.Serve(ctx, ln) }, func(ctx context.Context) error {
		watching, stop := context.WithCancel(ctx)
		var watched sync.WaitGroup
		watched.Go(func() { watchMachine(watching, fleet, s.KeepAwake, log) })
		defer watched.Wait()
		defer stop()
		return fleet.Serve(ctx)
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
	if inv.bare {
		fmt.Fprintln(stderr, "This build has no menu bar, so it serves, as `samovar serve` would. All commands: samovar --help")
	}
	fmt.Fprintf(stderr, `Samovar %s listens on http://%s and loads the model %s.
Try it:   curl -s http://%s/v1/chat/completions -d '{"messages":[{"role":"user","content":"What can you do?"}]}'
Stop it:  Ctrl-C
`, engine.BuildVersion(), addr, model, addr)
}
