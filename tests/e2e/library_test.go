package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/models/hub/hubtest"
	"samovar/engine/models/modelstest"
)

// tiny is a model's file.
func tiny(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	return raw
}

// here lists the models on this machine as samovar models does, by name.
func here(t *testing.T, env []string, args ...string) map[string]infer.LocalModel {
	t.Helper()
	out, errs, code := runToEnd(t, env, append([]string{"models", "--json"}, args...)...)
	require.Zero(t, code, errs)
	var all struct{ Models []infer.LocalModel }
	require.NoError(t, json.Unmarshal([]byte(out), &all), out)
	byName := map[string]infer.LocalModel{}
	for _, m := range all.Models {
		byName[m.Name] = m
	}
	return byName
}

// nobody is an address where nothing answers.
const nobody = "127.0.0.1:9"

func TestFromPullToAnswer(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo("owner/tiny", hubtest.Files{"tiny-Q4_K_M.gguf": hubtest.Bytes(tiny(t))})
	h.AddRepo("owner/other", hubtest.Files{"other-Q8_0.gguf": hubtest.Bytes(append(tiny(t), 0))})
	dir := t.TempDir()
	env := []string{"HF_ENDPOINT=" + h.URL(), "SAMOVAR_DATA_DIR=" + dir, "SAMOVAR_ADDR=" + nobody}
	out, errs, code := runToEnd(t, env, "pull", "owner/tiny")
	require.Zero(t, code, errs)
	require.Contains(t, out, "owner/tiny:Q4_K_M is here")
	require.Contains(t, here(t, env), "owner/tiny:Q4_K_M")
	out, _, code = runToEnd(t, env, "models")
	require.Zero(t, code)
	require.Contains(t, out, "To download")

	// Served by its name; another one is pulled through the server, and asked for.
	in := start(t, setup{dataDir: dir, env: env[:1], args: []string{"--model", "owner/tiny:Q4_K_M"}})
	in.awaitReady()
	require.Equal(t, "owner/tiny:Q4_K_M", in.health().Model.ID)
	in.asks("Hello")
	env = []string{"SAMOVAR_ADDR=" + strings.TrimPrefix(in.base, "http://")}
	out, errs, code = runToEnd(t, env, "pull", "owner/other")
	require.Zero(t, code, errs)
	require.Contains(t, out, "owner/other:Q8_0 is here")
	require.Contains(t, string(in.get("/v1/models").body), "owner/other:Q8_0")
	require.Contains(t, string(in.get("/api/tags").body), "owner/other:Q8_0")
	_, err := in.asksModel("owner/other", "a", "Hello")
	require.NoError(t, err)
	require.Equal(t, infer.StateReady, in.model("owner/other:Q8_0").State)
	require.Equal(t, infer.StateReady, here(t, env)["owner/other:Q8_0"].State)
	_, err = in.asksModel("guide", "a", "Hello")
	require.NoError(t, err, "the guide is always here")

	// Removing it while it is loaded.
	out, errs, code = runToEnd(t, env, "rm", "owner/other")
	require.Zero(t, code, errs)
	require.Contains(t, out, "deleted")
	_, err = in.asksModel("owner/other", "a", "Hello")
	require.ErrorContains(t, err, "404")
	require.NotContains(t, here(t, env), "owner/other:Q8_0")
	_, errs, code = runToEnd(t, env, "rm", "owner/tiny")
	require.NotZero(t, code)
	require.Contains(t, errs, "default")
	in.asks("Hello")
	require.Empty(t, h.Leaked())
}

func TestDownloadsThatGoWrong(t *testing.T) {
	h := hubtest.New(t)
	raw := tiny(t)
	h.AddRepo("owner/bad", hubtest.Files{"bad-Q4_K_M.gguf": hubtest.Bytes(raw)})
	h.AddRepo("owner/gated", hubtest.Files{"g-Q4_K_M.gguf": hubtest.Bytes(append(slices.Clone(raw), 0))}, hubtest.Gated())
	h.AddRepo("owner/cut", hubtest.Files{"cut-Q4_K_M.gguf": hubtest.Bytes(raw)})
	dir := t.TempDir()
	env := []string{"HF_ENDPOINT=" + h.URL(), "SAMOVAR_DATA_DIR=" + dir, "SAMOVAR_ADDR=" + nobody}
	h.Misbehave(hubtest.CDN, "bad-Q4_K_M.gguf", 1000, hubtest.Corrupt())
	_, errs, code := runToEnd(t, env, "pull", "owner/bad")
	require.Equal(t, 1, code)
	t.Log(errs)
	require.Contains(t, errs, "SHA-256")
	require.NotContains(t, here(t, env), "owner/bad:Q4_K_M")

	h.Misbehave(hubtest.CDN, "cut-Q4_K_M.gguf", 5, hubtest.Cut())
	_, errs, code = runToEnd(t, env, "pull", "owner/cut")
	require.Zero(t, code, errs)
	require.Equal(t, hex.EncodeToString(sumOf(raw)), here(t, env)["owner/cut:Q4_K_M"].SHA256)

	_, errs, code = runToEnd(t, env, "pull", "owner/gated")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "HF_TOKEN")
	h.Accept("hf_secret", "owner/gated")
	_, errs, code = runToEnd(t, append(env, "HF_TOKEN=hf_secret"), "pull", "owner/gated")
	require.Zero(t, code, errs)
	require.Empty(t, h.Leaked())

	for _, name := range []string{"no such thing", "../../etc/passwd", "owner/none"} {
		_, errs, code = runToEnd(t, env, "pull", name)
		require.NotZero(t, code, name)
		require.NotEmpty(t, errs)
	}
}

func sumOf(raw []byte) []byte {
	s := sha256.Sum256(raw)
	return s[:]
}

func TestPulledTwiceAtOnceItComesOnce(t *testing.T) {
	h := hubtest.New(t)
	raw := tiny(t)
	h.AddRepo("owner/tiny", hubtest.Files{"tiny-Q4_K_M.gguf": hubtest.Bytes(raw)})
	h.Misbehave(hubtest.CDN, "tiny-Q4_K_M.gguf", 1000, hubtest.Trickle(128<<10, 20*time.Millisecond))
	env := []string{"HF_ENDPOINT=" + h.URL(), "SAMOVAR_DATA_DIR=" + t.TempDir(), "SAMOVAR_ADDR=" + nobody}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, errs, code := runToEnd(t, env, "pull", "owner/tiny"); code != 0 {
				t.Error(errs)
			}
		})
	}
	both.Wait()
	require.Less(t, h.Served(), int64(len(raw))*102/100+200_000)
	require.Contains(t, here(t, env), "owner/tiny:Q4_K_M")
}

func TestRemovingADownload(t *testing.T) {
	h := hubtest.New(t)
	h.AddRepo("owner/slow", hubtest.Files{"slow-Q4_K_M.gguf": hubtest.Generated(1, 8<<20)})
	h.Misbehave(hubtest.CDN, "slow-Q4_K_M.gguf", 1000, hubtest.Trickle(64<<10, 20*time.Millisecond))
	in := start(t, setup{env: []string{"HF_ENDPOINT=" + h.URL()}})
	in.awaitReady()
	require.Equal(t, http.StatusAccepted, in.post("/samovar/v1/models/pull", `{"name":"owner/slow"}`).status)
	var all struct{ Pulls []infer.Pull }
	in.await("it is under way", func() bool {
		in.get("/samovar/v1/models/pulls").decode(&all)
		return all.Pulls[0].Done > 0
	})
	out, code := in.control("rm", "owner/slow")
	require.Zero(t, code, out)
	in.get("/samovar/v1/models/pulls").decode(&all)
	require.Equal(t, infer.PullCancelled, all.Pulls[0].State)
	require.NoError(t, filepath.WalkDir(filepath.Join(in.dataDir, "models"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), "guide-") && !strings.HasSuffix(path, ".json") {
			t.Errorf("%s is left", path)
		}
		return err
	}))
}

// snapshotOf describes all files of a folder, bytes and times.
func snapshotOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += hex.EncodeToString(sumOf(raw))
		}
		all[path] = what
		return nil
	}))
	return all
}

// Models of other programs are listed, served where they are, and left as they were.
func TestOthersModelsInPlace(t *testing.T) {
	home, raw := t.TempDir(), tiny(t)
	sum := hex.EncodeToString(sumOf(raw))
	write := func(path string, content []byte) {
		path = filepath.Join(home, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, 0o644))
	}
	write(".ollama/models/blobs/sha256-"+sum, raw)
	write(".ollama/models/manifests/registry.ollama.ai/library/tea/1b", fmt.Appendf(nil,
		`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:%s","size":2},
		"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:%s","size":%d}]}`, sum, sum, len(raw)))
	write(".lmstudio/models/publisher/repo/repo-Q4_K_M.gguf", raw)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	write(".cache/huggingface/hub/models--owner--cached/blobs/"+sum, raw)
	write(".cache/huggingface/hub/models--owner--cached/refs/main", []byte(commit))
	snapshot := filepath.Join(home, ".cache/huggingface/hub/models--owner--cached/snapshots", commit)
	require.NoError(t, os.MkdirAll(snapshot, 0o755))
	require.NoError(t, os.Symlink("../../blobs/"+sum, filepath.Join(snapshot, "cached-Q8_0.gguf")))
	before := snapshotOf(t, home)

	env := []string{"HOME=" + home, "SAMOVAR_ADDR=" + nobody, "SAMOVAR_DATA_DIR=" + t.TempDir()}
	all := here(t, env)
	in := start(t, setup{env: env[:1]})
	in.awaitReady()
	for name, origin := range map[string]string{"tea:1b": "ollama", "publisher/repo:Q4_K_M": "lmstudio", "owner/cached:Q8_0": "huggingface"} {
		require.Equal(t, origin, all[name].Origin, "%v", all)
		require.Empty(t, all[name].Problem)
		_, err := in.asksModel(name, "a", "Hello")
		require.NoError(t, err, name)
		out, code := in.control("rm", name)
		require.NotZero(t, code)
		require.Contains(t, out, "not Samovar's to delete")
	}
	require.Equal(t, before, snapshotOf(t, home), "nothing of others has changed")
}
