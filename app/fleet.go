package app

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/app/power"
	"samovar/engine"
	"samovar/engine/models/guide"
)

// fleetBuilder makes of settings what an engine.Fleet needs.
type fleetBuilder struct {
	where   paths.Paths
	library *library
	log     *slog.Logger
	// mu guards settings: reload changes them while find reads them.
	mu       sync.Mutex
	settings config.Settings
	// base is what all models have in common, once fleet has made it.
	base engine.Config
}

// fleet checks what can be checked at once, and makes no folders.
func (b *fleetBuilder) fleet(ctx context.Context) (engine.FleetConfig, error) {
	s := b.settings
	template, err := readTemplate(s.ChatTemplate)
	if err != nil {
		return engine.FleetConfig{}, err
	}
	b.base = engine.Config{
		QueueMax: s.QueueMax, QueueWait: s.QueueWait, ChatTemplate: template, Log: b.log,
	}
	cfg := engine.FleetConfig{Pinned: s.Pinned, Memory: s.Memory, Idle: s.Unload, IdleOnBattery: s.Unload, Log: b.log}
	if s.Unload == config.UnloadAuto {
		cfg.Idle, cfg.IdleOnBattery = config.UnloadNever, config.UnloadOnBattery
	}
	main, err := b.model(ctx, s)
	if err != nil {
		return cfg, err
	}
	cfg.Models = []engine.Config{main}
	for _, name := range s.Models {
		more, err := b.model(ctx, named(s, name))
		if err != nil {
			return cfg, err
		}
		if !slices.ContainsFunc(cfg.Models, func(c engine.Config) bool { return c.Model.ID == more.Model.ID }) {
			cfg.Models = append(cfg.Models, more)
		}
	}
	if b.base.WorkerPath, b.base.LibDir, err = engine.FindWorker(); err != nil {
		return cfg, err
	}
	for i := range cfg.Models {
		cfg.Models[i].WorkerPath, cfg.Models[i].LibDir = b.base.WorkerPath, b.base.LibDir
	}
	return cfg, nil
}

// named returns settings whose model is that one, as the setting models writes it. The
// chat template is the default model's.
func named(s config.Settings, name string) config.Settings {
	s.Model, s.Shape, s.ChatTemplate = name, "", ""
	if shape, ok := strings.CutPrefix(name, config.ShapePrefix); ok && !config.ModelIsPath(name) {
		s.Model, s.Shape = "", shape
	}
	return s
}

// model returns the configuration of the settings' model.
func (b *fleetBuilder) model(ctx context.Context, s config.Settings) (engine.Config, error) {
	file, err := chooseModel(ctx, s, b.where, b.library)
	if err != nil {
		return engine.Config{}, err
	}
	c := b.base
	c.Model = file
	if s.ChatTemplate == "" {
		c.ChatTemplate = ""
	}
	w := workerSettings(s)
	c.ContextTokens, c.KVType, c.KVBytes, c.Threads = w.ContextTokens, w.KVType, w.KVBytes, w.Threads
	return c, nil
}

// workerSettings are those that a worker gets for the settings' model.
func workerSettings(s config.Settings) engine.Settings {
	s = tune(s)
	return engine.Settings{ContextTokens: s.ContextTokens, KVType: s.KVType, KVBytes: s.KVBytes, Threads: s.Threads}
}

// find implements engine.FleetConfig.Find: a model that is here, and none of the fleet's.
func (b *fleetBuilder) find(ctx context.Context, name string) (engine.Config, bool) {
	m, ok := b.library.Find(ctx, name)
	if !ok || m.Problem != "" || m.Path == "" && m.Name != guide.Name {
		return engine.Config{}, false
	}
	b.mu.Lock()
	s := b.settings
	b.mu.Unlock()
	c, err := b.model(ctx, named(s, m.Name))
	if err == nil {
		err = b.folder(&c)
	}
	if err != nil {
		b.log.Warn("a model that is here cannot be served", "model", name, "err", err)
		return engine.Config{}, false
	}
	return c, true
}

// folders makes the folders that models need, each worker its own.
func (b *fleetBuilder) folders(cfg engine.FleetConfig) (engine.FleetConfig, error) {
	for i := range cfg.Models {
		if err := b.folder(&cfg.Models[i]); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

func (b *fleetBuilder) folder(c *engine.Config) (err error) {
	state, err := b.where.Worker()
	if err != nil {
		return err
	}
	c.StateDir = filepath.Join(state, url.PathEscape(c.Model.ID))
	if c.Keep, err = keepSettings(b.settings, b.where); err != nil {
		return err
	}
	return nil
}

// keepSettings says where KV is kept, and how much of it.
func keepSettings(s config.Settings, where paths.Paths) (engine.Keep, error) {
	if s.KeepQuota == 0 {
		return engine.Keep{}, nil
	}
	dir, err := where.Kept()
	return engine.Keep{Dir: dir, Quota: s.KeepQuota, Daily: s.KeepDaily, Memory: s.KeepMemory}, err
}

// reload applies what of new settings can be applied while requests run.
func (b *fleetBuilder) reload(ctx context.Context, s config.Settings, fleet *engine.Fleet) {
	b.log.Info("the settings were read again")
	before := b.settings
	rest := s
	if s.Model != before.Model || s.Shape != before.Shape {
		c, err := b.model(ctx, s)
		if err == nil {
			err = b.folder(&c)
		}
		if err == nil {
			err = fleet.Use(ctx, c)
		}
		if err != nil {
			b.log.Error("the new model cannot be used; the one before stays", "err", err)
			s.Model, s.Shape = before.Model, before.Shape
		}
	}
	for _, of := range append([]config.Settings{s}, others(s)...) {
		file, err := chooseModel(ctx, of, b.where, b.library)
		if err == nil {
			err = fleet.Apply(file.ID, workerSettings(of))
		}
		if err != nil {
			b.log.Error("the settings of a model could not be applied", "model", of.Model, "err", err)
		}
	}
	b.mu.Lock()
	b.settings = s
	b.mu.Unlock()
	// What is left to compare needs a new start.
	rest.Model, rest.Shape = before.Model, before.Shape
	rest.MenuTitle, rest.Notifications = before.MenuTitle, before.Notifications // read whenever they matter
	rest.ContextTokens, rest.KVType, rest.KVBytes, rest.Threads = before.ContextTokens, before.KVType, before.KVBytes, before.Threads
	if !reflect.DeepEqual(rest, before) {
		b.log.Warn("some settings have changed that need a new start of samovar")
	}
}

// others are the settings of the models beside the default one.
func others(s config.Settings) []config.Settings {
	var all []config.Settings
	for _, name := range s.Models {
		all = append(all, named(s, name))
	}
	return all
}

// awakeEvery is how often it is looked whether requests run, to keep the machine awake.
const awakeEvery = 5 * time.Second

// watchMachine tells the fleet how the machine fares, and keeps it awake while requests
// run, until ctx is done.
func watchMachine(ctx context.Context, fleet *engine.Fleet, keepAwake bool, log *slog.Logger) {
	monitor := power.New(power.Options{
		OnChange: func(s power.State) {
			p := engine.Power{OnBattery: s.OnBattery}
			if s.PressureKnown {
				p.Pressure = s.Pressure.String()
			}
			fleet.SetPower(p)
		},
		OnWake: func(asleep time.Duration) { fleet.Woke(ctx, asleep) },
	})
	if keepAwake {
		awake := power.OpenAwake(power.AwakeOptions{OnProblem: func(err error) {
			log.Debug("the machine may go to sleep while requests run", "err", err)
		}})
		defer awake.Close()
		var done sync.WaitGroup
		defer done.Wait()
		done.Go(func() {
			tick := time.NewTicker(awakeEvery)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					awake.Keep(fleet.Busy())
				case <-ctx.Done():
					return
				}
			}
		})
	}
	_ = monitor.Serve(ctx) // it ends with ctx only
}
