package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
	"samovar/engine/models"
	"samovar/engine/models/catalogue"
	"samovar/engine/models/download"
	"samovar/engine/models/found"
	"samovar/engine/models/guide"
	"samovar/engine/models/hfcache"
	"samovar/engine/models/hub"
	"samovar/engine/models/pull"
	"samovar/engine/models/registry"
)

// library is what is known of models on this machine, and how more get here.
type library struct {
	*registry.Registry
	pulls *pull.Manager
	hub   *hub.Client
	// usable is how much memory models may have, in bytes; 0 is unknown. memory is what the
	// machine has.
	usable, memory int64
	// fleet serves them; nil while nothing does.
	fleet *engine.Fleet
}

// openLibrary opens what a run knows of models. It asks nobody yet.
func openLibrary(s config.Settings, where paths.Paths, lookupEnv func(string) (string, bool), log *slog.Logger) (*library, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // then there are no usual places
	}
	places := found.UsualPlaces(runtime.GOOS, home, lookupEnv)
	dir := where.ModelsDir()
	cache := filepath.Join(dir, "hub")
	if s.DataDir == "" && len(places.HuggingFace) > 0 {
		cache = places.HuggingFace[0] // others find our downloads there
	} else {
		places.HuggingFace = append([]string{cache}, places.HuggingFace...)
	}
	l := &library{}
	if l.memory, err = models.Memory(); err == nil {
		l.usable = catalogue.Usable(l.memory)
	}
	if l.Registry, err = registry.Open(registry.Options{Dir: dir, Hub: cache, Places: places, Named: namedModels(s, dir), Usable: l.usable, Log: log}); err != nil {
		return nil, err
	}
	endpoint, _ := lookupEnv("HF_ENDPOINT")
	token := hub.TokenFrom(lookupEnv, home)
	l.hub = hub.New(hub.Options{Endpoint: endpoint, Token: token, UserAgent: "samovar/" + engine.BuildVersion()})
	loader := download.New(download.Options{Parts: filepath.Join(cache, ".samovar-parts"), BytesPerSecond: s.PullLimit})
	if _, err := loader.Sweep(forgotten); err != nil {
		log.Warn("old unfinished downloads could not be deleted", "err", err)
	}
	l.pulls = pull.New(pull.Options{
		Hub: l.hub, Token: token, Registry: l.Registry, Cache: hfcache.New(cache), Dir: dir, Log: log,
		Download: loader,
	})
	return l, nil
}

// forgotten is after how long nobody goes on with an unfinished download.
const forgotten = 30 * 24 * time.Hour

// namedModels are the models that the settings name.
func namedModels(s config.Settings, dir string) []registry.Named {
	all := []registry.Named{{Name: guide.Name, Origin: registry.OriginGuide}}
	if path := guide.Path(dir); exists(path) { // else it is made when it is asked for
		all[0].Path = path
	}
	for _, of := range append([]config.Settings{s}, others(s)...) {
		if !config.ModelIsPath(of.Model) {
			continue
		}
		if file, err := chooseFile(of.Model); err == nil {
			all = append(all, registry.Named{Name: file.ID, Aliases: file.Aliases, Origin: registry.OriginFile, Path: file.Path})
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Local implements control.Library.
func (l *library) Local(ctx context.Context) []infer.LocalModel {
	all := l.Models(ctx)
	if l.fleet == nil {
		return all
	}
	states := map[string]infer.State{}
	for _, s := range l.fleet.Overview().Models {
		states[s.Model.ID] = s.State
	}
	for i := range all {
		all[i].State = states[all[i].Name]
	}
	return all
}

// Memory implements control.Library.
func (l *library) Memory() (machine, usable int64) { return l.memory, l.usable }

// Suggestions implements control.Library.
func (l *library) Suggestions(ctx context.Context) []infer.Suggestion {
	here := l.Models(ctx)
	best := ""
	if fit := catalogue.Recommend(l.memory); len(fit) > 0 {
		best = fit[0].Name
	}
	var all []infer.Suggestion
	for _, e := range catalogue.Entries() {
		all = append(all, infer.Suggestion{
			Name: e.Name, Ref: e.Ref(), Bytes: e.Bytes, Parameters: e.Parameters, Licence: e.Licence, Context: e.Context, Kind: e.Kind, Tools: e.Tools,
			Checked: e.Checked, Needs: e.Needs(usualContext), Fits: e.Fits(l.memory), Recommended: e.Name == best,
			Here: slices.ContainsFunc(here, func(m infer.LocalModel) bool { return strings.EqualFold(m.Name, e.Ref()) }),
		})
	}
	return all
}

// usualContext is the context that suggestions are worked out for, in tokens.
const usualContext = 8192

// Search implements control.Library.
func (l *library) Search(ctx context.Context, query string, limit int) ([]infer.HubModel, error) {
	repos, err := l.hub.Search(ctx, query, limit)
	if err != nil {
		return nil, pull.PublicError(err)
	}
	all := make([]infer.HubModel, 0, len(repos))
	for _, r := range repos {
		m := infer.HubModel{Repo: r.ID, Licence: r.Licence, Gated: r.Gated, Downloads: r.Downloads, Likes: r.Likes, Variants: []infer.HubVariant{}}
		for _, v := range hub.Variants(r) {
			m.Variants = append(m.Variants, infer.HubVariant{Name: r.ID + ":" + v.Quant, Quant: v.Quant, Bytes: v.Bytes,
				Fits: l.usable == 0 || v.Bytes+v.Bytes/8 <= l.usable}) // an eighth for context and buffers
		}
		all = append(all, m)
	}
	return all, nil
}

// Pull, Pulls, PausePull, CancelPull and WatchPulls implement control.Library.
func (l *library) Pull(name string) (infer.Pull, error) { return l.pulls.Start(name) }

// Pulls: see Pull.
func (l *library) Pulls() []infer.Pull { return l.pulls.Pulls() }

// PausePull: see Pull.
func (l *library) PausePull(ctx context.Context, name string) (infer.Pull, error) {
	return l.pulls.Pause(ctx, name)
}

// CancelPull: see Pull.
func (l *library) CancelPull(ctx context.Context, name string) (infer.Pull, error) {
	return l.pulls.Cancel(ctx, name)
}

// WatchPulls: see Pull.
func (l *library) WatchPulls() (<-chan infer.Pull, func()) { return l.pulls.Watch() }

// Remove implements control.Library: a model that is served leaves first, and one that is
// being downloaded is that no more.
func (l *library) Remove(ctx context.Context, name string) (int64, error) {
	m, here := l.Find(ctx, name)
	for _, p := range l.pulls.Pulls() {
		if same := p.Name == name || p.Model == name || here && p.Model == m.Name; same && (!p.State.Ended() || p.State == infer.PullPaused) {
			if _, err := l.pulls.Cancel(ctx, p.Name); err != nil {
				return 0, err
			}
			if !here {
				return p.Done, nil
			}
		}
	}
	if here && m.Origin == registry.OriginOwn && l.fleet != nil {
		if err := l.fleet.Forget(ctx, m.Name); err != nil {
			return 0, err
		}
	}
	return l.Registry.Remove(ctx, name)
}

// knownModel is chooseModel with a library that is opened for it.
func knownModel(ctx context.Context, s config.Settings, where paths.Paths) (engine.ModelFile, error) {
	l, err := openLibrary(s, where, os.LookupEnv, slog.New(slog.DiscardHandler))
	if err != nil {
		return engine.ModelFile{}, err
	}
	defer l.close()
	return chooseModel(ctx, s, where, l)
}

// modelFile is what the engine is told of a model that is here.
func modelFile(m infer.LocalModel) engine.ModelFile {
	return engine.ModelFile{ID: m.Name, Aliases: m.Aliases, Path: m.Path}
}

// serving is what the server answers with: the fleet, and models that could join it.
type serving struct {
	*engine.Fleet
	library *library
}

// Models implements server.Engine: those of the fleet, then what else is here.
func (s serving) Models() []infer.Model {
	all := s.Fleet.Models()
	for _, l := range s.library.Models(context.Background()) {
		if l.Problem != "" || slices.ContainsFunc(all, func(m infer.Model) bool { return m.ID == l.Name }) {
			continue
		}
		m := infer.Model{ID: l.Name, Created: l.Modified, FileBytes: uint64(l.Bytes)}
		if f := l.Facts; f != nil {
			m.Name, m.Architecture, m.Parameters, m.ContextTokens = f.Title, f.Architecture, f.Parameters, f.ContextTokens
		}
		all = append(all, m)
	}
	return all
}

// choose finds a model by name for the settings model and models.
func (l *library) choose(ctx context.Context, name string) (engine.ModelFile, error) {
	m, ok := l.Find(ctx, name)
	switch {
	case !ok:
		hint := "`samovar models` lists those there are"
		if e, known := catalogue.Find(name); known {
			hint = fmt.Sprintf("`samovar pull %s` downloads it", e.Name)
		}
		return engine.ModelFile{}, usageError{fmt.Errorf("there is no model %q here; %s; --model takes \"guide\", the path of a .gguf file or the name of a model", name, hint)}
	case m.Problem != "":
		return engine.ModelFile{}, usageError{fmt.Errorf("the model %q cannot be used: %s", name, m.Problem)}
	}
	return modelFile(m), nil
}

// close ends downloads; what they have stays.
func (l *library) close() { l.pulls.Close() }
