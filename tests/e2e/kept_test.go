package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// asked is what a request says of its prompt.
type asked struct {
	Choices []struct{ Message struct{ Content string } }
	Usage   struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

func (in *instance) asks(text string) asked {
	in.t.Helper()
	r := in.post("/v1/chat/completions", encode(in.t, question(text, map[string]any{"max_tokens": 12})))
	require.Equal(in.t, 200, r.status, "%s", r.body)
	var a asked
	require.NoError(in.t, json.Unmarshal(r.body, &a))
	return a
}

func (in *instance) kept() infer.Kept {
	in.t.Helper()
	var h struct{ Kept infer.Kept }
	require.NoError(in.t, json.Unmarshal(in.get("/health").body, &h))
	return h.Kept
}

// A conversation is there after every way in which Samovar can end.
func TestConversationsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	begin := func() *instance {
		in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
		in.awaitReady()
		return in
	}
	in := begin()
	text := strings.Repeat("What goes with tea? ", 60)
	first := in.asks(text)
	require.Zero(t, first.Usage.Details.Cached)
	require.Greater(t, first.Usage.Prompt, 1100)
	for _, end := range []struct {
		name string
		lost int
		by   func()
	}{
		{"SIGTERM", 1, func() {
			in.signal(syscall.SIGTERM)
			require.Zero(t, in.awaitExit())
			in = begin()
		}},
		{"kill -9", 256, func() {
			in.await("all is written", func() bool { k := in.kept(); return k.Blocks > 0 && k.QueueBytes == 0 })
			in.signal(syscall.SIGKILL)
			in.awaitExit()
			in = begin()
		}},
		{"kill -9 of the worker", 256, func() {
			in.await("all is written", func() bool { k := in.kept(); return k.Blocks > 0 && k.QueueBytes == 0 })
			pid := in.health().WorkerPID
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			in.await("another worker", func() bool { h := in.health(); return h.State == "ready" && h.WorkerPID != pid })
		}},
	} {
		end.by()
		again := in.asks(text)
		require.GreaterOrEqual(t, again.Usage.Details.Cached, first.Usage.Prompt-end.lost, end.name)
		require.Equal(t, first.Choices, again.Choices, end.name)
		require.Zero(t, in.kept().Disproved, end.name)
	}
}

func TestServingGoesOnWhereNothingCanBeKept(t *testing.T) {
	dir := t.TempDir()
	first := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	first.awaitReady()
	first.await("it keeps", func() bool { k := first.kept(); return k.On && k.Off == "" })
	first.signal(syscall.SIGTERM)
	require.Zero(t, first.awaitExit())

	t.Run("turned off", func(t *testing.T) {
		in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny", "--keep-quota", "0"}})
		in.awaitReady()
		in.asks("Hello")
		require.Contains(t, in.kept().Off, "turned off")
		in.signal(syscall.SIGTERM)
		in.awaitExit()
	})
	t.Run("the folder is a file", func(t *testing.T) {
		folders, err := filepath.Glob(filepath.Join(dir, "kv", "????????????????"))
		require.NoError(t, err)
		require.Len(t, folders, 1)
		require.NoError(t, os.RemoveAll(folders[0]))
		require.NoError(t, os.WriteFile(folders[0], nil, 0o600))
		in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
		in.awaitReady()
		in.asks("Hello")
		require.Contains(t, in.kept().Off, "cannot be used")
		require.Contains(t, string(in.get("/metrics").body), `samovar_kept_saving{model="shape-tiny"} 0`)
	})
}
