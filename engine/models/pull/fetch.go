package pull

import (
	"context"
	"errors"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"samovar/engine/infer"
	"samovar/engine/models"
	"samovar/engine/models/download"
	"samovar/engine/models/hub"
	"samovar/engine/models/registry"
)

// job is what is to be downloaded.
type job struct {
	name  string // that the model will have
	repo  hub.Repo
	files []hub.File
	quant string
}

// fetch downloads a model and returns its name.
func (m *Manager) fetch(ctx context.Context, r *running) (string, error) {
	if r.ref.URL != "" {
		return m.fetchURL(ctx, r)
	}
	j, err := m.choose(ctx, r.ref)
	if err != nil {
		return "", err
	}
	total := int64(0)
	for _, f := range j.files {
		total += f.Size
	}
	m.update(r, func(p *infer.Pull) { p.Model, p.Total, p.State = j.name, total, infer.PullRunning })
	if p, ok := m.borrow(ctx, j); ok {
		p.Aliases = m.aliases(r, j)
		return j.name, m.o.Registry.Add(p)
	}
	pulled := registry.Pulled{Name: j.name, Aliases: m.aliases(r, j), Repo: j.repo.ID, At: time.Now()}
	before := int64(0)
	for _, f := range j.files {
		sum, err := m.o.Download.Fetch(ctx, m.source(j, f), m.progress(r, before))
		if err != nil {
			return "", err
		}
		file, err := m.o.Cache.Link(j.repo.ID, j.repo.Commit, revision(r.ref), f.Path, sum)
		if err != nil {
			return "", err
		}
		pulled.Files = append(pulled.Files, registry.File{Path: file, Name: f.Path, Bytes: f.Size, SHA256: sum})
		before += f.Size
	}
	if err := check(pulled.Files[0].Path); err != nil {
		for _, f := range pulled.Files {
			_, failed := m.o.Cache.Remove(j.repo.ID, f.Name)
			err = errors.Join(err, failed)
		}
		return "", err
	}
	return j.name, m.o.Registry.Add(pulled)
}

func revision(ref hub.Ref) string {
	if ref.Revision == "" {
		return "main"
	}
	return ref.Revision
}

// choose asks the Hub what a Ref means.
func (m *Manager) choose(ctx context.Context, ref hub.Ref) (job, error) {
	repo, err := m.o.Hub.Repo(ctx, ref.Repo, ref.Revision)
	if err != nil {
		return job{}, err
	}
	files, quant, err := hub.Pick(repo, ref)
	if err != nil {
		return job{}, err
	}
	if repo.Gated { // its files are, not what is known of them
		if err := m.o.Hub.Access(ctx, repo.ID); err != nil {
			return job{}, err
		}
	}
	j := job{name: repo.ID, repo: repo, files: files, quant: quant}
	switch {
	case ref.File != "" || quant == "":
		j.name += ":" + path.Base(files[0].Path)
	default:
		j.name += ":" + quant
	}
	return j, nil
}

// aliases are the other names that a model can be asked for by: the catalogue's, and the
// repository's if it has no other model of it.
func (m *Manager) aliases(r *running, j job) []string {
	var all []string
	if r.entry != nil {
		all = append(append(all, r.entry.Name), r.entry.Aliases...)
	}
	all = append(all, r.now.Name, j.repo.ID)
	return slices.DeleteFunc(all, func(a string) bool { return a == j.name })
}

// source is where a file comes from and goes to.
func (m *Manager) source(j job, f hub.File) download.File {
	return download.File{
		URL: m.o.Hub.URL(j.repo, f), Token: m.o.Token, Path: m.o.Cache.BlobPath(j.repo.ID, f.SHA256), Size: f.Size, SHA256: f.SHA256,
	}
}

// borrow finds a model of one file that another program has already.
func (m *Manager) borrow(ctx context.Context, j job) (registry.Pulled, bool) {
	if len(j.files) != 1 || j.files[0].SHA256 == "" {
		return registry.Pulled{}, false
	}
	for _, l := range m.o.Registry.Models(ctx) {
		if l.SHA256 == j.files[0].SHA256 && l.Bytes == j.files[0].Size && l.Problem == "" {
			file := registry.File{Path: l.Path, Name: j.files[0].Path, Bytes: l.Bytes, SHA256: l.SHA256}
			return registry.Pulled{Name: j.name, Repo: j.repo.ID, Files: []registry.File{file}, At: time.Now(), Borrowed: l.Origin}, true
		}
	}
	return registry.Pulled{}, false
}

// progress tells how far a download is whose files up to this one have so many bytes.
func (m *Manager) progress(r *running, before int64) func(download.Progress) {
	return func(now download.Progress) {
		m.update(r, func(p *infer.Pull) {
			p.Done, p.BytesPerSecond, p.Left, p.State = before+now.Done, now.BytesPerSecond, now.ETA, infer.PullRunning
			if p.Total < before+now.Total {
				p.Total = before + now.Total
			}
			if now.Verifying {
				p.State = infer.PullVerifying
			}
			if rest := p.Total - before - now.Total; rest > 0 && now.BytesPerSecond > 0 { // the parts to come
				p.Left += time.Duration(float64(rest) / now.BytesPerSecond * float64(time.Second))
			}
		})
	}
}

// check says whether the engine can take a file; one that it cannot is no use.
func check(file string) error {
	_, err := models.Inspect(file)
	var bad *models.BadFileError
	if errors.As(err, &bad) {
		return &infer.Error{Code: infer.CodeInvalid, Message: "The file was downloaded right, but it is no model that Samovar can run. " + bad.Reason, Hint: "Choose another quantisation, or another model.", Err: err}
	}
	return err
}

// fetchURL downloads a file that is not the Hub's.
func (m *Manager) fetchURL(ctx context.Context, r *running) (string, error) {
	u, err := url.Parse(r.ref.URL)
	if err != nil {
		return "", err
	}
	file := path.Base(u.Path)
	to := filepath.Join(m.o.Dir, file)
	m.update(r, func(p *infer.Pull) { p.State = infer.PullRunning })
	sum, err := m.o.Download.Fetch(ctx, download.File{URL: r.ref.URL, Path: to}, m.progress(r, 0))
	if err != nil {
		return "", err
	}
	if err := check(to); err != nil {
		return "", errors.Join(err, m.o.Download.Discard(to), remove(to))
	}
	name := strings.TrimSuffix(file, path.Ext(file))
	return name, m.o.Registry.Add(registry.Pulled{Name: name, Aliases: []string{r.ref.URL}, At: time.Now(),
		Files: []registry.File{{Path: to, Name: file, Bytes: size(to), SHA256: sum}}})
}

// discard deletes what there is of a download.
func (m *Manager) discard(r *running) error {
	if r.ref.URL != "" {
		u, err := url.Parse(r.ref.URL)
		if err != nil {
			return err
		}
		return m.o.Download.Discard(filepath.Join(m.o.Dir, path.Base(u.Path)))
	}
	partials, err := m.o.Download.Partials()
	if err != nil {
		return err
	}
	folder := filepath.Dir(m.o.Cache.BlobPath(r.ref.Repo, strings.Repeat("0", 64))) // whichever file
	var errs error
	for _, p := range partials {
		if filepath.Dir(p.Path) == folder {
			errs = errors.Join(errs, m.o.Download.Discard(p.Path))
		}
	}
	return errs
}
