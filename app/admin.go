package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
	"samovar/server/control"
)

// admin is what the dashboard sees and changes of the program itself.
type admin struct {
	p     Process
	inv   invocation
	where paths.Paths
	build *fleetBuilder
	fleet *engine.Fleet
	log   *logRing

	// mu keeps two changes of settings apart. started are the values in force since the
	// start, by name.
	mu      sync.Mutex
	started map[string]config.Value
	// ctx is the run's. reloading keeps two reloads apart, reloads are those that run.
	ctx       context.Context
	reloading sync.Mutex
	reloads   sync.WaitGroup
}

// live are the settings that take effect while Samovar runs.
var live = []string{"model", "shape", "ctx", "kv", "kv_memory", "threads", "menu_title", "notifications"}

// newAdmin returns the admin of a run.
func newAdmin(ctx context.Context, p Process, inv invocation, where paths.Paths, build *fleetBuilder, fleet *engine.Fleet, log *logRing) (*admin, error) {
	a := &admin{ctx: ctx, p: p, inv: inv, where: where, build: build, fleet: fleet, log: log}
	started, _, err := a.describe()
	a.started = started
	return a, err
}

// describe says what the settings would be if Samovar started now, and what of that is the
// file's.
func (a *admin) describe() (all map[string]config.Value, file config.Layer, err error) {
	if file, err = config.FromFile(a.where.SettingsFile()); err != nil {
		return nil, nil, err
	}
	all, err = config.Describe(config.FromFlags(a.inv.flags), config.FromEnv(a.p.LookupEnv), file)
	return all, file, err
}

var kindNames = map[config.Kind]string{config.Text: "text", config.Number: "number", config.YesNo: "yes_no"}

// Settings implements control.Admin. Those of the bench commands are not the server's.
func (a *admin) Settings() (control.SettingsView, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, file, err := a.describe()
	if err != nil {
		return control.SettingsView{}, &infer.Error{Code: infer.CodeConflict, Message: sentenceOf(err), Hint: "Mend the file."}
	}
	view := control.SettingsView{File: a.where.SettingsFile()}
	for _, k := range config.Keys {
		if strings.Contains(k.Name, ".") {
			continue
		}
		is := control.Setting{Name: k.Name, Kind: kindNames[k.Kind], Default: k.Default, Allowed: k.Allowed, Live: slices.Contains(live, k.Name)}
		v := now[k.Name]
		if !is.Live {
			v, is.Pending = a.started[k.Name], a.started[k.Name].Text != now[k.Name].Text
		}
		is.Value, is.Origin = v.Text, v.Origin
		if strings.HasPrefix(v.Origin, view.File) {
			is.Origin = "the settings file"
		}
		if f, ok := file[k.Name]; ok {
			is.InFile = &f.Text
		}
		view.Settings = append(view.Settings, is)
	}
	return view, nil
}

// Set implements control.Admin.
func (a *admin) Set(_ context.Context, name string, value *string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, _, err := a.describe()
	if err == nil {
		err = config.Edit(a.where.SettingsFile(), name, value)
	}
	if err != nil {
		return &infer.Error{Code: infer.CodeInvalid, Param: name, Message: sentenceOf(err), Err: err}
	}
	after, _, err := a.describe()
	if err != nil {
		return err
	}
	if before[name].Text != after[name].Text && slices.Contains(live, name) {
		a.build.log.Info("a setting was changed", "name", name, "value", after[name].Text)
		// It may take as long as a model takes to load.
		a.reloads.Go(func() { a.reload(a.ctx) })
	}
	return nil
}

// reload applies the settings as they are now.
func (a *admin) reload(ctx context.Context) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	s, _, err := resolve(a.inv.flags, a.p.LookupEnv)
	if err != nil {
		a.build.log.Error("the settings are wrong, and stay as they were", "err", err)
		return
	}
	a.build.reload(ctx, s, a.fleet)
}

// Logs implements control.Admin, as WatchLogs does.
func (a *admin) Logs(limit int) []control.LogLine { return a.log.last(limit) }

// WatchLogs: see Logs.
func (a *admin) WatchLogs() (<-chan control.LogLine, func()) { return a.log.watch() }

// Doctor implements control.Admin.
func (a *admin) Doctor(ctx context.Context) ([]control.Finding, error) {
	p := a.p
	p.Stdout, p.Stderr = io.Discard, io.Discard
	found, err := examine(ctx, p, invocation{command: cmdDoctor, flags: a.doctorFlags()}, newProgress(io.Discard))
	if err != nil {
		return nil, err
	}
	var all []control.Finding
	for _, c := range diagnose(found).Checks {
		f := control.Finding{Level: string(c.Verdict), Subject: c.Name, Text: strings.Join(append([]string{c.Says}, c.Details...), "\n"), Hint: c.Do}
		all = append(all, f)
	}
	return all, nil
}

// doctorFlags are those of serve that doctor has, too.
func (a *admin) doctorFlags() map[string]string {
	flags := map[string]string{}
	for _, name := range []string{"addr", "data-dir"} {
		if v, ok := a.inv.flags[name]; ok {
			flags[name] = v
		}
	}
	return flags
}

// sentenceOf makes an error's text a sentence.
func sentenceOf(err error) string {
	var known *config.Error
	if errors.As(err, &known) {
		return fmt.Sprintf("%q is not allowed for %s; allowed: %s.", known.Text, known.Key.Name, known.Key.Allowed)
	}
	return strings.TrimRight(err.Error(), ".") + "."
}
