package checkup

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/models"
	"samovar/engine/models/guide"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keep makes a store of one block, as the worker does, and returns the block's file.
func keep(t *testing.T, dir, keyType string) string {
	t.Helper()
	root := blockfile.Fingerprint{KeyType: keyType}.ID()
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, root.String()[:16]), Fingerprint: root, Queue: 1 << 20})
	require.NoError(t, err)
	b := blockfile.Block{Kind: blockfile.KindBlock, Tokens: make([]blockfile.Token, blockfile.BlockTokens), Fingerprint: root, Parent: root, Payload: []byte("keys and values")}
	require.True(t, s.Put(b))
	require.NoError(t, s.Close(t.Context()))
	id := b.ID().String()
	return filepath.Join(dir, root.String()[:16], id[:2], id+".kv")
}

func TestEveryStoreIsLookedAt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kv")
	quiet := func(string, int64, int64) {}
	kept, err := KeptKV(t.Context(), dir, true, quiet)
	require.NoError(t, err)
	require.Empty(t, kept.Stores)
	require.NoDirExists(t, dir, "nothing is made")

	bad := keep(t, dir, "f16")
	keep(t, dir, "q8_0")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "digests"), 0o700))
	require.NoError(t, os.WriteFile(bad, []byte("samovarK"), 0o600))
	told := map[string]bool{}
	kept, err = KeptKV(t.Context(), dir, false, func(store string, done, total int64) {
		told[store] = done == total
	})
	require.NoError(t, err)
	require.Len(t, kept.Stores, 2)
	require.Equal(t, 2, kept.Files)
	bytes := int64(0)
	for _, s := range kept.Stores {
		require.True(t, told[filepath.Base(s.Dir)])
		require.Empty(t, s.Unusable)
		bytes += s.DiskBytes()
		if wrong := filepath.Dir(filepath.Dir(bad)) == s.Dir; wrong {
			require.Len(t, s.Wrong, 1)
			require.FileExists(t, bad)
		} else {
			require.Empty(t, s.Wrong)
			require.Equal(t, 1, s.Blocks)
		}
	}
	require.Equal(t, bytes, kept.Bytes)

	_, err = KeptKV(t.Context(), dir, true, quiet)
	require.NoError(t, err)
	require.NoFileExists(t, bad)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = KeptKV(ctx, dir, false, quiet)
	require.ErrorIs(t, err, context.Canceled)
	_, err = KeptKV(t.Context(), bad+"/x", false, quiet)
	require.NoError(t, err, "not there")
}

func TestAFileInPlaceOfAStore(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0123456789abcdef"), nil, 0o600))
	kept, err := KeptKV(t.Context(), dir, true, func(string, int64, int64) {})
	require.NoError(t, err)
	require.Contains(t, kept.Stores[0].Unusable, "not a directory")
}

// script stands in for the worker's executable.
func script(t *testing.T, libraries string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nif [ $1 = version ]; then echo v1; exit; fi\n"+libraries), 0o700))
	return path
}

func TestTheEngineIsAskedInAProcessOfItsOwn(t *testing.T) {
	libs := t.TempDir()
	for name, c := range map[string]struct{ script, loaded, fails string }{
		"well":      {`echo "ggml 1 $2"`, "ggml 1 " + libs, ""},
		"refused":   {"echo chatter >&2; echo samovar-engine: another version >&2; exit 1", "", "another version"},
		"a panic":   {"echo first >&2; echo panic: no libffi >&2; echo goroutine 1 >&2; exit 2", "", "panic: no libffi (exit status 2)"},
		"a signal":  {"kill -SEGV $$", "", "segmentation fault"},
		"a crash":   {"echo SIGBUS: bus error >&2; echo gs 0 >&2; exit 2", "", "SIGBUS: bus error (exit status 2)"},
		"the rest":  {"echo oh >&2; exit 3", "", "oh (exit status 3)"},
		"its world": {`echo "$SAMOVAR_TEST_SECRET$([ -d "$HOME" ] && echo home)"`, "home", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SAMOVAR_TEST_SECRET", "x")
			e, err := ProbeEngine(t.Context(), script(t, c.script), libs)
			require.NoError(t, err)
			require.Equal(t, "v1", e.Build)
			require.Equal(t, c.loaded, e.Libraries)
			if c.fails == "" {
				require.NoError(t, e.LibrariesErr)
			} else {
				require.ErrorContains(t, e.LibrariesErr, c.fails)
			}
		})
	}
	_, err := ProbeEngine(t.Context(), "/nonexistent/engine", libs)
	require.ErrorContains(t, err, "/nonexistent/engine")
}

func TestLibrariesAreComparedWithTheirManifest(t *testing.T) {
	libs := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(libs, name), []byte(content), 0o600))
	}
	// The SHA-256 of "abc".
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	write("manifest.json", `{"format":1,"files":[{"name":"libggml.so","size":3,"sha256":"`+sum+`"}]}`)
	path := script(t, "echo loaded")
	fails := func() string {
		e, err := ProbeEngine(t.Context(), path, libs)
		require.NoError(t, err)
		if e.LibrariesErr == nil {
			require.Equal(t, "loaded", e.Libraries)
			return ""
		}
		require.Empty(t, e.Libraries, "it is not loaded")
		return e.LibrariesErr.Error()
	}
	require.Contains(t, fails(), "libggml.so is missing")
	write("libggml.so", "abd")
	require.Contains(t, fails(), "libggml.so is damaged")
	write("libggml.so", "abc")
	require.Empty(t, fails())
	write("manifest.json", `{"files":[{"name":"../secret"}]}`)
	require.Contains(t, fails(), "../secret")
	write("manifest.json", "{")
	require.Contains(t, fails(), "manifest.json cannot be read")
}

func TestMemoryOfModels(t *testing.T) {
	m, err := GuideMemory(0, "f16", 0)
	require.NoError(t, err)
	require.Greater(t, m.Need, m.Least)
	require.Greater(t, m.Least, int64(32<<20))
	require.Positive(t, m.Available)
	require.GreaterOrEqual(t, m.Context, 4096)

	path, err := guide.Install(t.TempDir())
	require.NoError(t, err)
	same, err := ModelMemory(path, 0, "f16", 0)
	require.NoError(t, err)
	require.Equal(t, m.Need, same.Need)
	smaller, err := ModelMemory(path, 0, "q8_0", 0)
	require.NoError(t, err)
	require.Less(t, smaller.Need, m.Need)
	asked, err := ModelMemory(path, 4096, "f16", 0)
	require.NoError(t, err)
	require.Greater(t, asked.Least, m.Least, "what was asked for does not shrink")
	budget, err := ModelMemory(path, 0, "f16", 1<<20)
	require.NoError(t, err)
	require.Less(t, budget.Need, m.Need)
	require.Equal(t, budget.Need, budget.Least)

	require.NoError(t, os.WriteFile(path, []byte("GGUF"), 0o600))
	_, err = ModelMemory(path, 0, "f16", 0)
	var bad *models.BadFileError
	require.ErrorAs(t, err, &bad)
}
