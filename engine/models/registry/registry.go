package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"samovar/engine/infer"
	"samovar/engine/models"
	"samovar/engine/models/found"
	"samovar/engine/models/hfcache"
)

// The origins of models that no other program has brought.
const (
	OriginOwn   = "samovar"
	OriginGuide = "guide"
	OriginFile  = "file"
)

// Options are a Registry's. Dir and Hub are needed.
type Options struct {
	// Dir is where it remembers what was downloaded; Hub the Hugging Face cache that
	// downloads go to.
	Dir, Hub string
	Places   found.Places
	// Named are models that the settings name.
	Named []Named
	// Usable is how much memory models may have, in bytes; 0 is unknown, and all fit.
	Usable int64
	Log    *slog.Logger
}

// Named is a model that the settings name. Path is empty if its file is made only when it
// is needed.
type Named struct {
	Name    string
	Aliases []string
	Origin  string
	Path    string
}

// Registry knows what is here. Its methods may be called from any goroutine.
type Registry struct {
	o     Options
	cache *hfcache.Cache

	mu    sync.Mutex
	own   []Pulled
	facts map[string]known // by path
	// scanned is what others had at a time.
	scanned []found.Model
	at      time.Time
}

// Pulled is a model that was downloaded.
type Pulled struct {
	// Name is what it is called, Aliases what it was asked for by.
	Name    string    `json:"name"`
	Aliases []string  `json:"aliases,omitempty"`
	Repo    string    `json:"repo,omitempty"`
	Files   []File    `json:"files"`
	At      time.Time `json:"at"`
	// Borrowed is the origin of files that were here already, if they are another
	// program's: they are never deleted.
	Borrowed string `json:"borrowed,omitempty"`
}

// File is one of its files; the first part comes first.
type File struct {
	// Path is where it is, Name what the repository calls it.
	Path   string `json:"path"`
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// scanFor is how long a scan of other programs' folders is good for: people look at lists
// again and again, and download elsewhere rarely.
const scanFor = 5 * time.Second

const pulledName = "pulled.json"

// Open reads what was downloaded before.
func Open(o Options) (*Registry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{o: o, cache: hfcache.New(o.Hub), facts: map[string]known{}}
	raw, err := os.ReadFile(r.pulledFile())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &r.own)
	}
	if err != nil { // the files are found in the cache all the same
		o.Log.Warn("it is not known any more which models Samovar has downloaded", "err", err)
		r.own = nil
	}
	return r, nil
}

func (r *Registry) pulledFile() string { return filepath.Join(r.o.Dir, pulledName) }

// save writes what was downloaded. The lock is held.
func (r *Registry) save() error {
	raw, err := json.MarshalIndent(r.own, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.o.Dir, 0o700); err != nil {
		return err
	}
	tmp := r.pulledFile() + ".new"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, r.pulledFile())
}

// Add takes note of a model that was downloaded.
func (r *Registry) Add(p Pulled) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.own {
		if o.Name == p.Name {
			p.Aliases = append(p.Aliases, o.Aliases...)
		}
	}
	slices.Sort(p.Aliases)
	p.Aliases = slices.Compact(p.Aliases)
	r.own = slices.DeleteFunc(r.own, func(o Pulled) bool { return o.Name == p.Name })
	r.own = append(r.own, p)
	r.at = time.Time{}
	return r.save()
}

// Models lists all, those of Samovar first.
func (r *Registry) Models(ctx context.Context) []infer.LocalModel {
	var all []infer.LocalModel
	for _, n := range r.o.Named {
		all = append(all, r.describe(infer.LocalModel{Name: n.Name, Aliases: n.Aliases, Origin: n.Origin, Path: n.Path}))
	}
	ours := map[string]bool{}
	for _, p := range r.pulled() {
		m := infer.LocalModel{Name: p.Name, Aliases: p.Aliases, Origin: OriginOwn, Modified: p.At}
		for i, f := range p.Files {
			ours[real(f.Path)] = true
			m.Bytes += f.Bytes
			if i == 0 {
				m.Path, m.SHA256 = f.Path, f.SHA256
			}
		}
		all = append(all, r.describe(m))
	}
	for _, f := range r.scan(ctx) {
		if ours[real(f.Path)] {
			continue
		}
		all = append(all, r.describe(infer.LocalModel{Name: f.Name, Aliases: f.Aliases, Origin: string(f.Origin), Path: f.Path,
			Bytes: f.Bytes, SHA256: f.SHA256, Modified: f.Modified}))
	}
	return unique(all)
}

// unique makes names mean one model each: the first that has it keeps it, others of the
// same name are called by their origin, too.
func unique(all []infer.LocalModel) []infer.LocalModel {
	taken := map[string]bool{}
	for i := range all {
		m := &all[i]
		if taken[strings.ToLower(m.Name)] {
			m.Name = m.Origin + "/" + m.Name
		}
		for n := 2; taken[strings.ToLower(m.Name)]; n++ {
			m.Name = fmt.Sprintf("%s (%d)", strings.TrimSuffix(m.Name, fmt.Sprintf(" (%d)", n-1)), n)
		}
		taken[strings.ToLower(m.Name)] = true
	}
	for i := range all {
		m := &all[i]
		m.Aliases = slices.DeleteFunc(slices.Clone(m.Aliases), func(a string) bool {
			a = strings.ToLower(a)
			had := taken[a]
			taken[a] = true
			return had
		})
	}
	return all
}

func (r *Registry) pulled() []Pulled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.own)
}

// scan looks at other programs' folders, unless that was done just now.
func (r *Registry) scan(ctx context.Context) []found.Model {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) < scanFor {
		return r.scanned
	}
	all, problems := found.Scan(ctx, r.o.Places)
	for _, p := range problems {
		r.o.Log.Debug("a model of another program cannot be used", "origin", p.Origin, "path", p.Path, "reason", p.Message)
	}
	if ctx.Err() == nil {
		r.scanned, r.at = all, time.Now()
	}
	return all
}

// Find returns the model of that name or alias, whatever its case. Ollama's clients write
// name:latest where name alone is meant.
func (r *Registry) Find(ctx context.Context, name string) (infer.LocalModel, bool) {
	all := r.Models(ctx)
	for _, want := range []string{name, strings.TrimSuffix(name, ":latest"), name + ":latest"} {
		for _, m := range all {
			if strings.EqualFold(m.Name, want) || slices.ContainsFunc(m.Aliases, func(a string) bool { return strings.EqualFold(a, want) }) {
				return m, true
			}
		}
	}
	return infer.LocalModel{}, false
}

// Remove deletes a model that Samovar has downloaded, and returns how many bytes that has
// freed: files that other downloads need stay.
func (r *Registry) Remove(ctx context.Context, name string) (freed int64, err error) {
	m, ok := r.Find(ctx, name)
	if !ok {
		return 0, &infer.Error{Code: infer.CodeModelNotFound, Param: "model",
			Message: fmt.Sprintf("There is no model %q here.", name), Hint: "`samovar models` lists those there are."}
	}
	switch m.Origin {
	case OriginOwn:
	case OriginGuide:
		return 0, &infer.Error{Code: infer.CodeConflict, Message: "The guide is built in: it is always here."}
	case OriginFile:
		return 0, &infer.Error{Code: infer.CodeConflict, Message: fmt.Sprintf("The model %q is a file that the settings name (%s).", m.Name, m.Path), Hint: "Delete it yourself if you want to."}
	default:
		return 0, &infer.Error{Code: infer.CodeConflict, Message: fmt.Sprintf("The model %q is not Samovar's to delete: it is from %s (%s).", m.Name, m.Origin, m.Path),
			Hint: "Delete it with the program that has downloaded it."}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.own, func(p Pulled) bool { return p.Name == m.Name })
	if i < 0 {
		return 0, nil // somebody else just has
	}
	gone := r.own[i]
	needed := map[string]bool{}
	for j, p := range r.own {
		for _, f := range p.Files {
			needed[f.Path] = needed[f.Path] || j != i
		}
	}
	for _, f := range gone.Files {
		if needed[f.Path] || gone.Borrowed != "" {
			continue
		}
		n, failed := r.delete(gone.Repo, f)
		freed, err = freed+n, errors.Join(err, failed)
	}
	if err != nil {
		return freed, err
	}
	r.own = slices.Delete(r.own, i, i+1)
	r.at = time.Time{}
	return freed, r.save()
}

func (r *Registry) delete(repo string, f File) (int64, error) {
	if repo != "" {
		n, err := r.cache.Remove(repo, f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return n, err
	}
	err := os.Remove(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return f.Bytes, err
}

// real is a path without links, or as it is.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}

// usualContext is the context that needs are told for, in tokens.
const usualContext = 8192

// describe adds what a model's header says, and what it takes.
func (r *Registry) describe(m infer.LocalModel) infer.LocalModel {
	if m.Path == "" {
		m.Fits = true
		return m
	}
	k := r.look(m.Path)
	m.Facts, m.Problem = k.Facts, k.Problem
	if m.Bytes == 0 {
		m.Bytes = k.Bytes
	}
	if m.Modified.IsZero() {
		m.Modified = k.Modified
	}
	if k.Facts != nil {
		m.Needs, m.NeedsContext = k.Needs, k.NeedsContext
		m.Fits = r.o.Usable == 0 || m.Needs <= r.o.Usable
	}
	return m
}

// known is what was read of a file.
type known struct {
	Modified     time.Time
	Size         int64
	Bytes        int64 // of all parts
	Facts        *infer.ModelFacts
	Needs        int64
	NeedsContext int
	Problem      string
}

// look reads a file's header, unless it is the one that was read before.
func (r *Registry) look(path string) known {
	info, err := os.Stat(path)
	if err != nil {
		return known{Problem: "Its file is gone: " + err.Error() + "."}
	}
	r.mu.Lock()
	k, ok := r.facts[path]
	r.mu.Unlock()
	if ok && k.Size == info.Size() && k.Modified.Equal(info.ModTime()) {
		return k
	}
	k = inspect(path)
	k.Size, k.Modified = info.Size(), info.ModTime()
	r.mu.Lock()
	r.facts[path] = k
	r.mu.Unlock()
	return k
}

func inspect(path string) known {
	f, err := models.Inspect(path)
	if err != nil {
		var bad *models.BadFileError
		if errors.As(err, &bad) {
			return known{Problem: strings.TrimSpace(bad.Reason + " " + bad.Hint)}
		}
		return known{Problem: err.Error()}
	}
	k := known{Bytes: f.FileBytes, Facts: &infer.ModelFacts{
		Title: f.Name, Architecture: f.Architecture, Parameters: f.Parameters, Quantisation: f.Quantisation,
		ContextTokens: f.ContextTokens, Class: string(f.Class), Template: f.ChatTemplate != "",
		Tools: strings.Contains(f.ChatTemplate, "tools"), Thinking: thinks(f.ChatTemplate),
	}}
	if n, err := f.KVBytesPerToken("f16"); err == nil {
		k.Facts.KVBytesPerToken = n
	}
	k.NeedsContext = usualContext
	if f.ContextTokens > 0 {
		k.NeedsContext = min(usualContext, f.ContextTokens)
	}
	if e, err := f.EstimateBytes(k.NeedsContext, 512, false, "f16"); err == nil {
		k.Needs = e.Total()
	}
	return k
}

// thinks says whether a template knows reasoning.
func thinks(template string) bool {
	for _, sign := range []string{"<think>", "enable_thinking", "reasoning_content", "<|channel|>analysis"} {
		if strings.Contains(template, sign) {
			return true
		}
	}
	return false
}
