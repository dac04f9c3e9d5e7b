package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
	"samovar/engine/models/found"
	"samovar/engine/models/hfcache"
	"samovar/engine/models/modelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repo   = "owner/tiny"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

// downloaded puts a model into a cache as a download would, and returns its file.
func downloaded(t *testing.T, dir, repo, name, sum string) File {
	t.Helper()
	raw, err := os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	c := hfcache.New(dir)
	blob := c.BlobPath(repo, sum)
	require.NoError(t, os.MkdirAll(filepath.Dir(blob), 0o700))
	require.NoError(t, os.WriteFile(blob, raw, 0o600))
	path, err := c.Link(repo, commit, "main", name, sum)
	require.NoError(t, err)
	return File{Path: path, Name: name, Bytes: int64(len(raw)), SHA256: sum}
}

func sum(c byte) string {
	b := make([]byte, 64)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

func open(t *testing.T, dir string) *Registry {
	t.Helper()
	hub := filepath.Join(dir, "hub")
	r, err := Open(Options{Dir: dir, Hub: hub, Places: found.Places{HuggingFace: []string{hub}}, Usable: 1 << 30,
		Named: []Named{{Name: "guide", Origin: OriginGuide}}})
	require.NoError(t, err)
	return r
}

func names(all []infer.LocalModel) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Name)
	}
	return out
}

func TestWhatWasDownloadedIsListedAndRemoved(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	require.Equal(t, []string{"guide"}, names(r.Models(t.Context())))
	f := downloaded(t, filepath.Join(dir, "hub"), repo, "tiny-Q4_0.gguf", sum('a'))
	require.NoError(t, r.Add(Pulled{Name: repo + ":Q4_0", Aliases: []string{"tiny"}, Repo: repo, Files: []File{f}}))

	r = open(t, dir) // another run
	all := r.Models(t.Context())
	require.Equal(t, []string{"guide", repo + ":Q4_0"}, names(all), "once, though the cache has it, too")
	m := all[1]
	require.Equal(t, OriginOwn, m.Origin)
	require.Empty(t, m.Problem)
	require.True(t, m.Fits)
	require.Positive(t, m.Needs)
	require.Equal(t, "llama", m.Facts.Architecture)
	for _, name := range []string{"tiny", "TINY:latest", "Owner/Tiny:q4_0"} {
		got, ok := r.Find(t.Context(), name)
		require.True(t, ok, name)
		require.Equal(t, m.Name, got.Name)
	}
	_, ok := r.Find(t.Context(), "nobody")
	require.False(t, ok)

	freed, err := r.Remove(t.Context(), "tiny")
	require.NoError(t, err)
	require.Equal(t, f.Bytes, freed)
	require.NoFileExists(t, f.Path)
	require.Equal(t, []string{"guide"}, names(open(t, dir).Models(t.Context())))
	_, err = r.Remove(t.Context(), "tiny")
	require.Equal(t, infer.CodeModelNotFound, infer.CodeOf(err))
	_, err = r.Remove(t.Context(), "guide")
	require.Equal(t, infer.CodeConflict, infer.CodeOf(err))
}

func TestOthersModelsAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	f := downloaded(t, filepath.Join(dir, "hub"), repo, "tiny-Q4_0.gguf", sum('b'))
	r := open(t, dir)
	m, ok := r.Find(t.Context(), repo+":Q4_0")
	require.True(t, ok)
	require.Equal(t, "huggingface", m.Origin)
	_, err := r.Remove(t.Context(), m.Name)
	require.Equal(t, infer.CodeConflict, infer.CodeOf(err))
	require.FileExists(t, f.Path)

	// A download that found it here already is no reason to delete it.
	require.NoError(t, r.Add(Pulled{Name: repo + ":Q4_0", Repo: repo, Files: []File{f}, Borrowed: "huggingface"}))
	freed, err := r.Remove(t.Context(), repo+":Q4_0")
	require.NoError(t, err)
	require.Zero(t, freed)
	require.FileExists(t, f.Path)
	_, ok = r.Find(t.Context(), repo+":Q4_0")
	require.True(t, ok, "it is still the other program's")
}

func TestFilesThatTwoDownloadsNeedStay(t *testing.T) {
	dir := t.TempDir()
	f := downloaded(t, filepath.Join(dir, "hub"), repo, "tiny-Q4_0.gguf", sum('c'))
	r := open(t, dir)
	require.NoError(t, r.Add(Pulled{Name: "one", Repo: repo, Files: []File{f}}))
	require.NoError(t, r.Add(Pulled{Name: "two", Repo: repo, Files: []File{f}}))
	_, err := r.Remove(t.Context(), "one")
	require.NoError(t, err)
	require.FileExists(t, f.Path)
	_, err = r.Remove(t.Context(), "two")
	require.NoError(t, err)
	require.NoFileExists(t, f.Path)
}

func TestAFileThatIsGoneOrBroken(t *testing.T) {
	dir := t.TempDir()
	f := downloaded(t, filepath.Join(dir, "hub"), repo, "tiny-Q4_0.gguf", sum('d'))
	r := open(t, dir)
	require.NoError(t, r.Add(Pulled{Name: "m", Repo: repo, Files: []File{f}}))
	blob, err := filepath.EvalSymlinks(f.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blob, []byte("no GGUF any more"), 0o600))
	m, ok := r.Find(t.Context(), "m")
	require.True(t, ok)
	require.NotEmpty(t, m.Problem)
	require.Nil(t, m.Facts)
	require.NoError(t, os.Remove(blob))
	m, _ = r.Find(t.Context(), "m")
	require.Contains(t, m.Problem, "gone")
	_, err = r.Remove(t.Context(), "m")
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(r.pulledFile(), []byte("{"), 0o600))
	require.Equal(t, []string{"guide"}, names(open(t, dir).Models(t.Context())), "a broken list is none")
}
