package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// overview is what ps shows.
func (in *instance) overview() infer.Overview {
	in.t.Helper()
	var o infer.Overview
	in.get("/samovar/v1/engine").decode(&o)
	return o
}

// model is one of it.
func (in *instance) model(id string) infer.Status {
	in.t.Helper()
	models := in.overview().Models
	i := slices.IndexFunc(models, func(s infer.Status) bool { return s.Model.ID == id })
	require.GreaterOrEqual(in.t, i, 0, id)
	return models[i]
}

// asksModel asks a model as an agent.
func (in *instance) asksModel(model, agent, text string) (asked, error) {
	body, err := json.Marshal(question(text, map[string]any{"model": model, "max_tokens": 20}))
	if err != nil {
		return asked{}, err
	}
	r, err := in.try(in.as(agent, string(body)))
	var a asked
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("%d: %s", r.status, r.body)
	}
	if err == nil {
		err = json.Unmarshal(r.body, &a)
	}
	return a, err
}

// shapes makes files of random weights and returns their paths.
func shapes(t *testing.T, names ...string) []string {
	t.Helper()
	var paths []string
	for _, name := range names {
		in := start(t, setup{args: []string{"--shape", name}})
		in.awaitReady()
		raw, err := os.ReadFile(filepath.Join(in.dataDir, "cache", "shapes", "shape-"+name+".gguf"))
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), name+".gguf")
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		paths = append(paths, path)
		in.signal(syscall.SIGTERM)
		in.awaitExit()
	}
	return paths
}

// Two models share the room for one: whoever is asked is loaded, nobody is refused, and
// nothing is computed twice.
func TestTwoModelsInTheRoomForOne(t *testing.T) {
	probe := start(t, setup{args: []string{"--shape", "tiny", "--models", "guide", "--keep-memory", "8MiB"}})
	probe.awaitReady()
	_, err := probe.asksModel("guide", "a", "Hello")
	require.NoError(t, err)
	need := max(probe.model("guide").Bytes, probe.model("shape-tiny").Bytes)
	require.Equal(t, probe.overview().Memory.Taken, probe.model("guide").Bytes+probe.model("shape-tiny").Bytes)

	in := start(t, setup{args: []string{"--shape", "tiny", "--models", "guide", "--keep-memory", "8MiB", "--memory", fmt.Sprint(need + 1<<20)}})
	in.awaitReady()
	models := []string{"shape-tiny", "guide"}
	text := strings.Repeat("What goes with tea? ", 40)
	for round := range 3 {
		for i, model := range models {
			a, err := in.asksModel(model, fmt.Sprint("agent ", i), text)
			require.NoError(t, err)
			if round > 0 {
				require.Equal(t, a.Usage.Prompt, a.Usage.Details.Cached, "%s in round %d", model, round)
			}
			o := in.overview()
			require.LessOrEqual(t, o.Memory.Taken, o.Memory.Budget)
			require.Equal(t, infer.StateReady, in.model(model).State)
			require.Equal(t, infer.StateUnloaded, in.model(models[1-i]).State)
		}
	}
	st := in.model("guide")
	require.Equal(t, 3, st.Loads)
	t.Logf("a swap: %v until there was room, %v to load, %v to unload", st.RoomTime, st.LoadTime, st.UnloadTime)
	var agents struct{ Data []infer.Agent }
	in.get("/v1/agents").decode(&agents)
	require.Len(t, agents.Data, 2, "those of the unloaded model, too")
	for _, a := range agents.Data {
		require.NotEqual(t, infer.TierCold, a.Tier)
	}

	// Both at once, from several clients.
	var clients sync.WaitGroup
	errs := make(chan error, 100)
	for c := range 4 {
		clients.Go(func() {
			for n := range 3 {
				_, err := in.asksModel(models[c%2], fmt.Sprint("client ", c), fmt.Sprint(text, n))
				errs <- err
			}
		})
	}
	clients.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for _, tr := range in.overview().Transitions {
		require.NotEmpty(t, tr.Reason, "%+v", tr)
	}

	// Pinned, it stays; the other one is told why it cannot be had.
	out, code := in.control("pin", "guide")
	require.Zero(t, code, out)
	_, err = in.asksModel("guide", "a", "Hello")
	require.NoError(t, err)
	_, err = in.asksModel("shape-tiny", "b", "Hello")
	require.ErrorContains(t, err, "503")
	require.ErrorContains(t, err, "memory")
	out, code = in.control("unpin", "guide")
	require.Zero(t, code, out)
	out, code = in.control("start", "shape-tiny")
	require.Zero(t, code, out)
	_, err = in.asksModel("shape-tiny", "b", "Hello")
	require.NoError(t, err)
	out, code = in.control("unload")
	require.Zero(t, code, out)
	require.Zero(t, in.overview().Memory.Taken)
	require.Equal(t, http.StatusOK, in.get("/health/ready").status, "it is loaded when it is asked for")
	_, err = in.asksModel("", "b", "Hello")
	require.NoError(t, err)
	_, err = in.asksModel("nobody", "b", "Hello")
	require.ErrorContains(t, err, "404")
	require.ErrorContains(t, err, `\"guide\"`)
}

func TestIdleModelsAreUnloaded(t *testing.T) {
	in := start(t, setup{args: []string{"--unload-after", "10s"}})
	in.awaitReady()
	text := strings.Repeat("What goes with tea? ", 40)
	first := in.asks(text)
	in.awaitState("unloaded")
	require.Zero(t, in.health().WorkerPID)
	again := in.asks(text)
	require.Equal(t, first.Choices, again.Choices)
	require.Equal(t, first.Usage.Prompt, again.Usage.Details.Cached)
}

// Settings that do not work are taken back; others take the place of the model under load.
func TestSettingsThatDoNotWorkAreTakenBack(t *testing.T) {
	dir := t.TempDir()
	model := shapes(t, "tiny")[0]
	file := filepath.Join(dir, "settings.toml")
	write := func(text string, args ...any) {
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, text, args...), 0o600))
	}
	in := start(t, setup{dataDir: dir})
	in.awaitReady()
	stream := make(chan answer, 1)
	go func() { stream <- surfaces[0].askStreamed(t, in, question(connect, nil)) }()

	write("ctx = 1000000\n")
	in.signal(syscall.SIGHUP)
	in.await("the old settings are back", func() bool { return strings.Contains(in.log.String(), "the ones before are back") })
	in.awaitReady()
	require.Contains(t, (<-stream).text, "ANTHROPIC_BASE_URL")
	ready := in.health().Model.ContextTokens
	require.Less(t, ready, 1000000)

	broken := filepath.Join(dir, "broken.gguf")
	require.NoError(t, os.WriteFile(broken, []byte("GGUF, but not really"), 0o600))
	write("model = %q\n", broken)
	in.signal(syscall.SIGHUP)
	in.await("the old model stays", func() bool { return strings.Contains(in.log.String(), "the one before stays") })
	in.awaitReady()
	require.Equal(t, "guide", in.health().Model.ID)
	require.Len(t, in.overview().Models, 1)

	write("model = %q\n", model)
	in.signal(syscall.SIGHUP)
	in.await("the new model", func() bool { h := in.health(); return h.Model.ID == "tiny" && h.State == "ready" })
	_, err := in.asksModel("", "a", "Hello")
	require.NoError(t, err)
	_, err = in.asksModel("guide", "a", "Hello")
	require.NoError(t, err, "the one before can be asked for")
}

// A model's file goes, or becomes another, while the model is served.
func TestAModelsFileChanges(t *testing.T) {
	if !hasProc() {
		t.Skip("it kills by number")
	}
	files := shapes(t, "tiny", "swa")
	in := start(t, setup{args: []string{"--model", files[0]}})
	in.awaitReady()
	text := strings.Repeat("What goes with tea? ", 40)
	first := in.asks(text)

	require.NoError(t, os.Rename(files[0], files[0]+".away"))
	require.Equal(t, first.Choices, in.asks(text).Choices, "it is in memory")
	in.await("its whole blocks are written", func() bool { return in.kept().Written >= uint64(first.Usage.Prompt/block) })
	require.NoError(t, syscall.Kill(in.health().WorkerPID, syscall.SIGKILL))
	h := in.awaitState("failed")
	require.Contains(t, h.Reason, "no such file")
	require.Equal(t, http.StatusOK, in.get("/health/live").status)
	require.Equal(t, http.StatusServiceUnavailable, in.post(surfaces[0].path, encode(t, question("Hello", nil))).status)

	require.NoError(t, os.Rename(files[0]+".away", files[0]))
	out, code := in.control("start")
	require.Zero(t, code, out)
	in.awaitReady()
	again := in.asks(text)
	require.Equal(t, first.Choices, again.Choices)
	require.GreaterOrEqual(t, again.Usage.Details.Cached, first.Usage.Prompt/block*block, "all but what a kill loses")

	require.NoError(t, os.Rename(files[1], files[0]))
	require.NoError(t, syscall.Kill(in.health().WorkerPID, syscall.SIGKILL))
	in.await("another model under the same name", func() bool { h := in.health(); return h.Restarts > 0 && h.State == "ready" })
	other := in.asks(text)
	require.Zero(t, other.Usage.Details.Cached, "the KV of the one before is not its")
	require.NotEqual(t, first.Choices, other.Choices)
}

// Where memory is bounded from outside, what does not fit fails with a reason; the API
// lives, and so does what fits.
func TestTooLittleMemory(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil || !hasProc() {
		t.Skip("it needs a shell that sets limits")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.toml")
	require.NoError(t, os.WriteFile(file, []byte("kv_memory = \"6GiB\"\n"), 0o600))
	in := start(t, setup{dataDir: dir, args: []string{"--shape", "0.5b"}, worker: `ulimit -v 4000000; exec $WORKER "$@"`})
	h := in.awaitState("failed")
	t.Log(h.Reason, h.Hint)
	require.NotEmpty(t, h.Reason)
	require.Equal(t, http.StatusOK, in.get("/health/live").status)
	require.Equal(t, http.StatusServiceUnavailable, in.post(surfaces[0].path, encode(t, question("Hello", nil))).status)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	in.signal(syscall.SIGHUP)
	in.await("the settings are read", func() bool { return strings.Contains(in.log.String(), "read again") })
	in.awaitReady()
	in.asks("Hello")
}
