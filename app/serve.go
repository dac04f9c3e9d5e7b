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
	"reflect"
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
	model, err := chooseModel(s, where)
	if err != nil {
		return err
	}
	template, err := readTemplate(s.ChatTemplate)
	if err != nil {
		return err
	}
	worker, libs, err := engine.FindWorker()
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

	state, err := where.Worker()
	if err != nil {
		return err
	}
	keep, err := keepSettings(s, where)
	if err != nil {
		return err
	}
	eng := engine.New(engine.Config{
		WorkerPath:    worker,
		LibDir:        libs,
		StateDir:      state,
		Model:         model,
		ContextTokens: s.ContextTokens,
		KVType:        s.KVType,
		KVBytes:       s.KVBytes,
		QueueMax:      s.QueueMax,
		QueueWait:     s.QueueWait,
		Threads:       s.Threads,
		ChatTemplate:  template,
		Keep:          keep,
		Log:           log,
	})
	api := server.New(server.Options{Engine: eng, Version: engine.BuildVersion(), Log: log})
	announce(p.Stderr, log, s, inv, model.ID, ln.Addr())
	defer reloadOnHangup(p, inv, s, eng, log)()
	return together(ctx, log, func(ctx context.Context) error { return api.Serve(ctx, ln) }, eng.Serve)
}

// reloadOnHangup reads the settings again at each SIGHUP, until the function that it
// returns is called. Those of the worker are applied; requests wait for the next one.
// Of the others it says that they need a restart.
func reloadOnHangup(p Process, inv invocation, now config.Settings, eng *engine.Engine, log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var done sync.WaitGroup
	done.Go(func() {
		for range hangups {
			s, _, err := resolve(inv.flags, p.LookupEnv)
			if err != nil {
				log.Error("the settings are wrong, and stay as they were", "err", err)
				continue
			}
			s = tune(s)
			log.Info("the settings were read again")
			eng.Apply(engine.Settings{ContextTokens: s.ContextTokens, KVType: s.KVType, KVBytes: s.KVBytes, Threads: s.Threads})
			now.ContextTokens, now.KVType, now.KVBytes, now.Threads = s.ContextTokens, s.KVType, s.KVBytes, s.Threads
			if !reflect.DeepEqual(s, now) {
				log.Warn("some settings have changed that need a new start of samovar")
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(hangups)
		done.Wait()
	}
}

// keepSettings says where KV is kept, and how much of it.
func keepSettings(s config.Settings, where paths.Paths) (engine.Keep, error) {
	if s.KeepQuota == 0 {
		return engine.Keep{}, nil
	}
	dir, err := where.Kept()
	return engine.Keep{Dir: dir, Quota: s.KeepQuota, Daily: s.KeepDaily, Memory: s.KeepMemory}, err
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
