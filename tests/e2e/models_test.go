package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/models/modelstest"
)

func TestBadModelFiles(t *testing.T) {
	files := modelstest.BadFiles(t)
	require.GreaterOrEqual(t, len(files), 20)
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			if info, err := os.Stat(f.Path); err != nil || info.IsDir() {
				_, errs, code := runToEnd(t, nil, "serve", "--model", f.Path, "--data-dir", t.TempDir())
				require.Equal(t, 2, code, "known at once")
				require.Contains(t, errs, filepath.Base(f.Path))
				return
			}
			in := start(t, setup{args: []string{"--model", f.Path}})
			h := in.awaitState("failed")
			require.Contains(t, h.Reason, f.WantReason)
			failedForGood(t, in)
		})
	}
}

// TestModelWithoutTemplate serves a file whose chat template has been renamed
// away: requests say so, and an override serves it.
func TestModelWithoutTemplate(t *testing.T) {
	raw, err := os.ReadFile(modelstest.Good(t))
	require.NoError(t, err)
	with, without := []byte("tokenizer.chat_template"), []byte("tokenizer.chat_templat_")
	require.Equal(t, 1, bytes.Count(raw, with))
	dir := t.TempDir()
	model := filepath.Join(dir, "mute.gguf")
	require.NoError(t, os.WriteFile(model, bytes.Replace(raw, with, without, 1), 0o600))

	in := start(t, setup{args: []string{"--model", model}})
	in.awaitReady()
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, encode(t, question("Hello", nil)))
		require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
		require.Contains(t, s.failure(t, r.body), "--chat-template")
	})

	template := filepath.Join(dir, "own.jinja")
	require.NoError(t, os.WriteFile(template, []byte("{% for m in messages %}{{ m.content }}{% endfor %}>"), 0o600))
	in = start(t, setup{args: []string{"--model", model, "--chat-template", template}})
	in.awaitReady()
	onBoth(t, func(t *testing.T, s surface) {
		a := s.ask(t, in, question("Hello", map[string]any{"max_tokens": 5}))
		require.Equal(t, 5, a.written)
		require.LessOrEqual(t, a.prompt, len("Hello>")+1, "the override is all there is")
	})
}

func TestBrokenTemplateOverride(t *testing.T) {
	template := filepath.Join(t.TempDir(), "broken.jinja")
	require.NoError(t, os.WriteFile(template, []byte("{% for %}"), 0o600))
	in := start(t, setup{args: []string{"--chat-template", template}})
	in.awaitReady()
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, encode(t, question("Hello", nil)))
		require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
		require.Contains(t, s.failure(t, r.body), "template")
	})
}

func TestContextFlagLimits(t *testing.T) {
	in := start(t, setup{args: []string{"--ctx", "256"}})
	in.awaitReady()
	require.Equal(t, 256, in.health().Model.ContextTokens)
	a := surfaces[0].ask(t, in, question("Hello", map[string]any{"max_tokens": 4000, "temperature": 2, "top_k": 0, "top_p": 1, "seed": 1}))
	require.LessOrEqual(t, a.prompt+a.written, 256)
}
