package hfcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/models"
	"samovar/engine/models/found"
	"samovar/engine/models/modelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repo      = "bartowski/Llama-3.2-1B-Instruct-GGUF"
	commit    = "1111111111111111111111111111111111111111"
	newCommit = "2222222222222222222222222222222222222222"
)

// put fills a blob.
func put(t testing.TB, c *Cache, repo, content string) (sum string) {
	t.Helper()
	raw := sha256.Sum256([]byte(content))
	sum = hex.EncodeToString(raw[:])
	at := c.BlobPath(repo, sum)
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(t, os.WriteFile(at, []byte(content), 0o644))
	return sum
}

// link fills a blob and links it.
func link(t testing.TB, c *Cache, commit, revision, file, content string) string {
	t.Helper()
	at, err := c.Link(repo, commit, revision, file, put(t, c, repo, content))
	require.NoError(t, err)
	return at
}

// tree lists all that is under a folder: links with their targets, files with their
// content, empty folders.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	out := []string{}
	require.NoError(t, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		name := strings.TrimPrefix(at, dir+"/")
		switch {
		case d.IsDir():
			if entries, err := os.ReadDir(at); err == nil && len(entries) == 0 && at != dir {
				out = append(out, name+"/")
			}
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			require.NoError(t, err)
			out = append(out, name+" -> "+target)
		default:
			raw, err := os.ReadFile(at)
			require.NoError(t, err)
			out = append(out, name+" = "+string(raw))
		}
		return nil
	}))
	return out
}

func TestLink(t *testing.T) {
	dir := t.TempDir()
	c := New(dir)
	a, b := put(t, c, repo, "a"), put(t, c, repo, "b")
	require.Equal(t, filepath.Join(dir, "models--bartowski--Llama-3.2-1B-Instruct-GGUF/blobs", a), c.BlobPath(repo, a))
	at, err := c.Link(repo, commit, "main", "m-Q8_0.gguf", a)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "models--bartowski--Llama-3.2-1B-Instruct-GGUF/snapshots", commit, "m-Q8_0.gguf"), at)
	below, err := c.Link(repo, commit, "refs/pr/1", "Q4_K_M/deep/m.gguf", b)
	require.NoError(t, err)
	raw, err := os.ReadFile(below)
	require.NoError(t, err)
	require.Equal(t, "b", string(raw))

	want := []string{
		"blobs/" + b + " = b", "blobs/" + a + " = a", "refs/main = " + commit, "refs/refs/pr/1 = " + commit,
		"snapshots/" + commit + "/Q4_K_M/deep/m.gguf -> ../../../../blobs/" + b,
		"snapshots/" + commit + "/m-Q8_0.gguf -> ../../blobs/" + a,
	}
	at = filepath.Join(dir, folder(repo))
	require.ElementsMatch(t, want, tree(t, at))

	// Again: nothing changes, not even by a new link of the same name.
	before, err := os.Lstat(below)
	require.NoError(t, err)
	for _, revision := range []string{"refs/pr/1", "", commit} {
		_, err = c.Link(repo, commit, revision, "Q4_K_M/deep/m.gguf", b)
		require.NoError(t, err)
	}
	after, err := os.Lstat(below)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.ElementsMatch(t, want, tree(t, at))

	// The branch moves on; an old link to something else is replaced.
	_, err = c.Link(repo, newCommit, "main", "m-Q8_0.gguf", a)
	require.NoError(t, err)
	_, err = c.Link(repo, newCommit, "main", "m-Q8_0.gguf", b)
	require.NoError(t, err)
	want[2] = "refs/main = " + newCommit
	require.ElementsMatch(t, append(want, "snapshots/"+newCommit+"/m-Q8_0.gguf -> ../../blobs/"+b), tree(t, at))
}

func TestLinkRefuses(t *testing.T) {
	dir := t.TempDir()
	c := New(dir)
	_, err := c.Link(repo, commit, "main", "m.gguf", strings.Repeat("0", 64))
	require.ErrorIs(t, err, fs.ErrNotExist)
	a := put(t, c, repo, "a")
	_, err = c.Link(repo, commit, "main", "m.gguf", strings.Repeat("0", 64))
	require.ErrorIs(t, err, fs.ErrNotExist)
	before := tree(t, dir)

	bad := []string{"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "a\x00b", "a\nb", "C:x", "\xff", strings.Repeat("x", 300), strings.Repeat("x/", 500) + "x"}
	for _, name := range bad {
		_, err := c.Link(repo, commit, "main", name, a)
		var refused *NameError
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, "file", refused.What)
		require.Regexp(t, `^The file ".*\.$`, refused.Error())
		_, err = c.Remove(repo, name)
		require.ErrorAs(t, err, &refused, name)
		if name != "" {
			_, err = c.Link(repo, commit, name, "m.gguf", a)
			require.ErrorAs(t, err, &refused, name)
		}
	}
	for _, name := range append(bad, "a/b/c", "a--b/c", "a/b--c", "a/b..c", "-a/b", "a/.b", "a/b.", "a/b.git", "ä/b", "a b/c") {
		_, err := c.Link(name, commit, "main", "m.gguf", a)
		var refused *NameError
		require.ErrorAs(t, err, &refused, name)
		require.Empty(t, c.BlobPath(name, a))
		_, err = c.Remove(name, "m.gguf")
		require.ErrorAs(t, err, &refused, name)
	}
	for _, id := range append(bad, strings.Repeat("A", 40), strings.Repeat("a", 41), "main", a) {
		_, err := c.Link(repo, id, "main", "m.gguf", a)
		var refused *NameError
		require.ErrorAs(t, err, &refused, id)
	}
	require.Empty(t, c.BlobPath(repo, strings.ToUpper(a)))
	require.Empty(t, c.BlobPath(repo, a[:40]))
	require.Equal(t, before, tree(t, dir))
}

// What somebody put into the cache must not lead us out of it.
func TestLinksOutOfTheCache(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	c := New(dir)
	a := put(t, c, repo, "a")
	at := filepath.Join(dir, folder(repo))
	require.NoError(t, os.MkdirAll(filepath.Join(at, "snapshots"), 0o755))
	require.NoError(t, os.Symlink(outside, filepath.Join(at, "snapshots", commit)))
	require.NoError(t, os.Symlink(outside, filepath.Join(at, "refs")))
	_, err := c.Link(repo, commit, "", "m.gguf", a)
	require.Error(t, err)
	_, err = c.Link(repo, newCommit, "main", "m.gguf", a)
	require.Error(t, err)
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "models--a--b")))
	_, err = c.Link("a/b", commit, "main", "m.gguf", a)
	require.Error(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(outside, "m.gguf"), []byte("precious"), 0o644))
	freed, err := c.Remove(repo, "m.gguf") // the good one
	require.Error(t, err, "the refs lead out")
	require.Equal(t, int64(1), freed)
	_, err = c.Remove("a/b", "m.gguf")
	require.Error(t, err)
	require.Equal(t, []string{"m.gguf = precious"}, tree(t, outside))

	// A blob that is a link is none, a folder is no file.
	require.NoError(t, os.Symlink(filepath.Join(outside, "m.gguf"), c.BlobPath(repo, strings.Repeat("0", 64))))
	_, err = c.Link(repo, newCommit, "", "x.gguf", strings.Repeat("0", 64))
	require.ErrorContains(t, err, "not a regular file")
	require.NoError(t, os.MkdirAll(filepath.Join(at, "snapshots", newCommit, "folder"), 0o755))
	_, err = c.Link(repo, newCommit, "", "folder", a)
	require.ErrorIs(t, err, syscall.EISDIR)
	_, err = c.Link(repo, newCommit, "", "folder/x", put(t, c, repo, "a"))
	require.NoError(t, err)
	_, err = c.Link(repo, newCommit, "", "folder/x/y", a)
	require.Error(t, err)
}

// On a file system without links the blob becomes the file, as huggingface_hub has it.
func TestWithoutLinks(t *testing.T) {
	for _, cause := range []error{syscall.EPERM, syscall.ENOTSUP} {
		dir := t.TempDir()
		c := New(dir)
		c.symlink = func(_ *os.Root, target, name string) error {
			return &os.LinkError{Op: "symlink", Old: target, New: name, Err: cause}
		}
		at := link(t, c, commit, "main", "m.gguf", "abc")
		want := []string{"blobs/", "refs/main = " + commit, "snapshots/" + commit + "/m.gguf = abc"}
		require.Equal(t, want, tree(t, filepath.Join(dir, folder(repo))))
		raw := sha256.Sum256([]byte("abc"))
		again, err := c.Link(repo, commit, "main", "m.gguf", hex.EncodeToString(raw[:]))
		require.NoError(t, err)
		require.Equal(t, at, again)
		freed, err := c.Remove(repo, "m.gguf")
		require.NoError(t, err)
		require.Equal(t, int64(3), freed)
		require.Empty(t, tree(t, dir))
	}
	dir := t.TempDir()
	c := New(dir)
	c.symlink = func(*os.Root, string, string) error { return syscall.ENOSPC }
	_, err := c.Link(repo, commit, "main", "m.gguf", put(t, c, repo, "abc"))
	require.ErrorIs(t, err, syscall.ENOSPC)

	// A copy that was cut off is replaced.
	c = New(t.TempDir())
	at := link(t, c, commit, "main", "m.gguf", "abc")
	require.NoError(t, os.Remove(at))
	require.NoError(t, os.WriteFile(at, []byte("ab"), 0o644))
	require.Equal(t, at, link(t, c, commit, "main", "m.gguf", "abc"))
	raw, err := os.ReadFile(at)
	require.NoError(t, err)
	require.Equal(t, "abc", string(raw))
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	c := New(dir)
	link(t, c, commit, "v1", "m.gguf", "old")
	link(t, c, newCommit, "main", "m.gguf", "newer")
	link(t, c, newCommit, "main", "copy.gguf", "newer")
	link(t, c, newCommit, "main", "sub/m.gguf", "below")
	at := filepath.Join(dir, folder(repo))

	_, err := c.Remove(repo, "other.gguf")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = c.Remove("no/such", "m.gguf")
	require.ErrorIs(t, err, fs.ErrNotExist)

	freed, err := c.Remove(repo, "m.gguf")
	require.NoError(t, err)
	require.Equal(t, int64(len("old")), freed, "copy.gguf still needs the other")
	require.ElementsMatch(t, []string{
		"blobs/" + put(t, c, repo, "newer") + " = newer", "blobs/" + put(t, c, repo, "below") + " = below", "refs/main = " + newCommit,
		"snapshots/" + newCommit + "/copy.gguf -> ../../blobs/" + put(t, c, repo, "newer"),
		"snapshots/" + newCommit + "/sub/m.gguf -> ../../../blobs/" + put(t, c, repo, "below"),
	}, tree(t, at), "the old commit and its ref are gone")

	freed, err = c.Remove(repo, "sub/m.gguf")
	require.NoError(t, err)
	require.Equal(t, int64(len("below")), freed)
	_, err = os.Stat(filepath.Join(at, "snapshots", newCommit, "sub"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.MkdirAll(filepath.Join(at, ".no_exist", newCommit), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(at, "trees"), 0o755))
	freed, err = c.Remove(repo, "copy.gguf")
	require.NoError(t, err)
	require.Equal(t, int64(len("newer")), freed)
	require.Empty(t, tree(t, dir))
	_, err = os.Stat(at)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// What is others' stays: a download on its way, a blob without a link, a strange ref, a
// link that is none of the cache's.
func TestRemoveLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	c := New(dir)
	at := filepath.Join(dir, folder(repo))
	snapshot := filepath.Join(at, "snapshots", commit)
	link(t, c, commit, "main", "m.gguf", "abc")
	orphan := put(t, c, repo, "orphan")
	for name, content := range map[string]string{"blobs/x.incomplete": "half", "refs/odd": "not a commit", "refs/long": strings.Repeat("1", 200), "file": "hello"} {
		require.NoError(t, os.WriteFile(filepath.Join(at, name), []byte(content), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "version.txt"), []byte("1"), 0o644))
	freed, err := c.Remove(repo, "m.gguf")
	require.NoError(t, err)
	require.Equal(t, int64(3), freed)
	require.Equal(t, []string{
		"blobs/" + orphan + " = orphan", "blobs/x.incomplete = half", "file = hello", "refs/long = " + strings.Repeat("1", 200), "refs/odd = not a commit", "snapshots/",
	}, tree(t, at))

	require.NoError(t, os.MkdirAll(snapshot, 0o755))
	for name, target := range map[string]string{
		"up.gguf": "../../../version.txt", "abs.gguf": filepath.Join(dir, "version.txt"), "gone.gguf": "../../blobs/gone", "deep.gguf": "../../blobs/x/y",
		"absolute.gguf": filepath.Join(at, "blobs", orphan), "dir.gguf": "../../blobs",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(snapshot, name)))
	}
	for name, want := range map[string]int64{"up.gguf": 0, "abs.gguf": 0, "gone.gguf": 0, "deep.gguf": 0, "dir.gguf": 0, "absolute.gguf": 6} {
		freed, err := c.Remove(repo, name)
		require.NoError(t, err, name)
		require.Equal(t, want, freed, name)
	}
	require.Equal(t, []string{"version.txt = 1"}, tree(t, dir)[len(tree(t, dir))-1:])
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	caches := []*Cache{New(dir), New(dir)} // as two processes
	sum := put(t, caches[0], repo, "abc")
	keep := put(t, caches[0], repo, "keep")
	_, err := caches[0].Link(repo, commit, "main", "keep.gguf", keep)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				_, err := caches[i%2].Link(repo, commit, "main", "m.gguf", sum)
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, tree(t, dir), 5)
	for range 8 {
		wg.Go(func() {
			if _, err := caches[0].Remove(repo, "m.gguf"); !errors.Is(err, fs.ErrNotExist) {
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, tree(t, dir), 3)
}

// What is put here is found there, under the name that a user expects.
func TestFoundAgain(t *testing.T) {
	good, err := os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	dir := t.TempDir()
	c := New(dir)
	at := link(t, c, commit, "main", "Llama-3.2-1B-Instruct-Q4_K_M.gguf", string(good))
	link(t, c, commit, "main", "Q8_0/m-Q8_0-00001-of-00002.gguf", "GGUF one")
	link(t, c, commit, "main", "Q8_0/m-Q8_0-00002-of-00002.gguf", "GGUF two")
	eyes := link(t, c, commit, "main", "mmproj-F16.gguf", "GGUF eyes")

	ms, problems := found.Scan(context.Background(), found.Places{HuggingFace: []string{dir}})
	require.Empty(t, problems)
	require.Len(t, ms, 2)
	require.Equal(t, repo+":Q4_K_M", ms[0].Name)
	require.Equal(t, at, ms[0].Path)
	require.Equal(t, filepath.Base(c.BlobPath(repo, ms[0].SHA256)), ms[0].SHA256)
	require.Equal(t, int64(len(good)), ms[0].Bytes)
	require.Equal(t, eyes, ms[0].MMProj)
	_, err = models.Inspect(ms[0].Path)
	require.NoError(t, err)
	require.Equal(t, repo+":Q8_0", ms[1].Name)
	require.Len(t, ms[1].Parts, 2)

	for _, m := range ms {
		for _, part := range m.Parts {
			file, err := filepath.Rel(filepath.Join(dir, folder(repo), "snapshots", commit), part)
			require.NoError(t, err)
			_, err = c.Remove(repo, file)
			require.NoError(t, err)
		}
	}
	ms, problems = found.Scan(context.Background(), found.Places{HuggingFace: []string{dir}})
	require.Empty(t, problems)
	require.Empty(t, ms)
}

// Whatever the names are: only the repo's folder changes, and what is taken is there.
func FuzzLink(f *testing.F) {
	f.Add("a/b", commit, "main", "m.gguf")
	f.Add("a/b", commit, "refs/pr/1", "sub/m.gguf")
	f.Add("../../x", "..", "../main", "../../../outside/m.gguf")
	f.Add("a/..", commit, "..\\main", "/etc/passwd")
	f.Add("a", strings.Repeat("a", 40), "", "...")
	f.Fuzz(func(t *testing.T, repo, commit, revision, file string) {
		top := t.TempDir()
		dir := filepath.Join(top, "cache")
		c := New(dir)
		require.NoError(t, os.MkdirAll(filepath.Join(top, "outside"), 0o755))
		sum := strings.Repeat("ab", 32)
		blob := c.BlobPath(repo, sum)
		if blob == "" {
			blob = filepath.Join(dir, "models--a--b", "blobs", sum)
		}
		at := filepath.Dir(filepath.Dir(blob))
		require.Equal(t, dir, filepath.Dir(at))
		require.NoError(t, os.MkdirAll(filepath.Dir(blob), 0o755))
		require.NoError(t, os.WriteFile(blob, []byte("GGUF"), 0o644))
		before := tree(t, top)

		name, err := c.Link(repo, commit, revision, file, sum)
		if err != nil {
			var refused *NameError
			require.True(t, errors.As(err, &refused) || !strings.Contains(file+revision, ".."), "%v", err)
			return
		}
		real, err := filepath.EvalSymlinks(name)
		require.NoError(t, err)
		want, err := filepath.EvalSymlinks(blob)
		require.NoError(t, err)
		require.Equal(t, want, real)
		require.True(t, strings.HasPrefix(name, filepath.Join(at, "snapshots", commit)+"/"))
		for _, line := range tree(t, top) {
			require.True(t, strings.HasPrefix(line, strings.TrimPrefix(at, top+"/")+"/") || line == "outside/", line)
		}
		require.Len(t, tree(t, top), len(before)+map[bool]int{true: 1, false: 2}[revision == "" || revision == commit])
		freed, err := c.Remove(repo, file)
		require.NoError(t, err)
		require.Equal(t, int64(4), freed)
		require.Equal(t, []string{"outside/"}, tree(t, top)[len(tree(t, top))-1:])
	})
}
