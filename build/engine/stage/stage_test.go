package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	var err error
	if stagingRoot, err = os.MkdirTemp("", "samovar-staged-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(stagingRoot)
	os.Exit(code)
}

// host is the platform that these tests damage; any would do.
var host = platforms[0]

func mustPlan(t *testing.T) plan {
	t.Helper()
	pl, err := makePlan(engineDir, host, mustPins(t))
	require.NoError(t, err, "the engine's libraries are needed: run `make setup`")
	return pl
}

func TestStagingIsIdempotent(t *testing.T) {
	pl, dest := mustPlan(t), filepath.Join(t.TempDir(), "lib")
	changed, err := pl.stage(dest)
	require.NoError(t, err)
	require.True(t, changed)
	before, err := os.Stat(dest)
	require.NoError(t, err)

	changed, err = pl.stage(dest)
	require.NoError(t, err)
	require.False(t, changed)
	after, err := os.Stat(dest)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "a folder that is right was replaced")
	requireOnly(t, filepath.Dir(dest), "lib")
}

// Whatever is wrong with a folder, staging again mends it, and leaves nothing
// else behind.
func TestStagingMends(t *testing.T) {
	pl := mustPlan(t)
	library := host.short("ggml-base")
	link := filepath.Join(host.short("llama"))
	for name, damage := range map[string]func(dir string) error{
		"folder gone":       os.RemoveAll,
		"library gone":      func(dir string) error { return os.Remove(filepath.Join(dir, library)) },
		"library truncated": func(dir string) error { return os.Truncate(filepath.Join(dir, library), 4096) },
		"one byte changed":  func(dir string) error { return flipByte(filepath.Join(dir, library), 5000) },
		"link gone":         func(dir string) error { return os.Remove(filepath.Join(dir, link)) },
		"link is a copy": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, link)); err != nil {
				return err
			}
			return copyFile(pl.sources[host.versioned("llama", pl.manifest.LlamaCpp)], filepath.Join(dir, link))
		},
		"link points elsewhere": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, link)); err != nil {
				return err
			}
			return os.Symlink(library, filepath.Join(dir, link))
		},
		"manifest gone":    func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) },
		"manifest altered": func(dir string) error { return flipByte(filepath.Join(dir, manifestName), 20) },
		"left over from another version": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "libggml-cpu-old.so"), []byte("x"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dest := filepath.Join(t.TempDir(), "lib")
			_, err := pl.stage(dest)
			require.NoError(t, err)
			require.NoError(t, pl.manifest.check(dest))

			require.NoError(t, damage(dest))
			require.Error(t, pl.manifest.check(dest), "the damage goes unnoticed")
			changed, err := pl.stage(dest)
			require.NoError(t, err)
			require.True(t, changed)
			require.NoError(t, pl.manifest.check(dest))
			requireOnly(t, filepath.Dir(dest), "lib")
		})
	}
}

// A process that has a library mapped must go on seeing the old file.
func TestStagingNeverWritesIntoAnExistingFile(t *testing.T) {
	pl, dest := mustPlan(t), filepath.Join(t.TempDir(), "lib")
	_, err := pl.stage(dest)
	require.NoError(t, err)
	path := filepath.Join(dest, host.short("ggml-base"))
	require.NoError(t, os.Truncate(path, 100))
	open, err := os.Open(path)
	require.NoError(t, err)
	defer open.Close()

	_, err = pl.stage(dest)
	require.NoError(t, err)
	info, err := open.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 100, info.Size())
}

func TestPackagesThatAreNotThePinnedOnesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir, bins string)
		says   string
	}{
		"not installed": {func(t *testing.T, dir, _ string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "node_modules")))
		}, "run `make setup`"},
		"another version installed": {func(t *testing.T, dir, bins string) {
			edit(t, filepath.Join(bins, "..", "..", "package.json"), `"version": "3.21.1"`, `"version": "3.22.1"`)
		}, "installed as 3.22.1 but 3.21.1 is pinned"},
		"another llama.cpp inside": {func(t *testing.T, dir, bins string) {
			edit(t, filepath.Join(bins, "_nlcBuildMetadata.json"), `"release":"v0.4.0"`, `"release":"v0.5.0"`)
		}, `holds llama.cpp "v0.5.0"`},
		"lock file disagrees": {func(t *testing.T, dir, _ string) {
			edit(t, filepath.Join(dir, "package.json"), `linux-x64": "3.21.1"`, `linux-x64": "^3.21.1"`)
		}, "exact versions only"},
		"no integrity hash": {func(t *testing.T, dir, _ string) {
			edit(t, filepath.Join(dir, "package-lock.json"), `"integrity": "sha512-`, `"integrity": "md5-`)
		}, "no sha512 integrity hash"},
		"main library missing": {func(t *testing.T, _, bins string) {
			require.NoError(t, os.Remove(filepath.Join(bins, "libllama.v0.4.0.so")))
		}, "libllama.v0.4.0.so is missing"},
		"dependency missing": {func(t *testing.T, _, bins string) {
			require.NoError(t, os.Remove(filepath.Join(bins, "libggml-base.so")))
		}, "libggml-base.so is missing"},
		"not a library": {func(t *testing.T, _, bins string) {
			require.NoError(t, os.WriteFile(filepath.Join(bins, "libggml-cpu-x64.so"), []byte("no"), 0o644))
		}, "libggml-cpu-x64.so"},
		"a library for another processor": {func(t *testing.T, _, bins string) {
			from, err := openPackage(engineDir, platforms[1], mustPins(t))
			require.NoError(t, err)
			to := filepath.Join(bins, "libggml-cpu-x64.so")
			require.NoError(t, os.Remove(to))
			require.NoError(t, copyFile(filepath.Join(from, "libggml-cpu-armv8.0_1.so"), to))
		}, "not a library for linux-x64"},
		"no backend": {func(t *testing.T, _, bins string) {
			backends, err := filepath.Glob(filepath.Join(bins, "libggml-cpu-*.so"))
			require.NoError(t, err)
			for _, b := range backends {
				require.NoError(t, os.Remove(b))
			}
		}, "no CPU backend"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bins := copyPackage(t, dir)
			test.damage(t, dir, bins)
			err := run([]string{"-dir", dir, host.name})
			require.ErrorContains(t, err, test.says)
			require.NoDirExists(t, filepath.Join(dir, "staged", host.name))
		})
	}
}

// copyPackage makes a copy of build/engine with only the host's package.
func copyPackage(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"package.json", "package-lock.json"} {
		require.NoError(t, copyFile(filepath.Join(engineDir, name), filepath.Join(dir, name)))
	}
	from := filepath.Join(engineDir, "node_modules", filepath.FromSlash(scope+host.name))
	to := filepath.Join(dir, "node_modules", filepath.FromSlash(scope+host.name))
	bins := filepath.Join(to, "bins", host.name)
	require.NoError(t, os.MkdirAll(bins, 0o755))
	for _, name := range []string{"package.json", "LICENSE", filepath.Join("bins", host.name, "_nlcBuildMetadata.json")} {
		require.NoError(t, copyFile(filepath.Join(from, name), filepath.Join(to, name)), "run `make setup`")
	}
	libraries, err := filepath.Glob(filepath.Join(from, "bins", host.name, "*.so"))
	require.NoError(t, err)
	for _, library := range libraries {
		require.NoError(t, copyFile(library, filepath.Join(bins, filepath.Base(library))))
	}
	return bins
}

func TestSelectPlatforms(t *testing.T) {
	all, err := selectPlatforms(nil)
	require.NoError(t, err)
	require.Len(t, all, 4)
	one, err := selectPlatforms([]string{"mac-x64"})
	require.NoError(t, err)
	require.Equal(t, "mac-x64", one[0].name)
	_, err = selectPlatforms([]string{"amiga"})
	require.ErrorContains(t, err, "linux-x64, linux-arm64, mac-arm64-metal, mac-x64")
	require.ErrorContains(t, run([]string{"-into", t.TempDir(), "all"}), "exactly one platform")
}

// The lock file pins contents, not where to get them from.
func TestLockFileNamesNoHost(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(engineDir, "package-lock.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	require.NotContains(t, string(data), "resolved")
	require.NotContains(t, string(data), "://")
}

func flipByte(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	return err
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, new)), 0o644))
}

func requireOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	require.ElementsMatch(t, names, have)
}
