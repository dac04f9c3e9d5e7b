package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/config"
)

func TestEditKeepsWhatElseIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "more", "settings.toml")
	set := func(name, value string) {
		t.Helper()
		require.NoError(t, config.Edit(path, name, &value))
	}
	has := func(want string) {
		t.Helper()
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
	set("ctx", "4096") // there was no file
	has("ctx = 4096\n")
	require.NoError(t, os.WriteFile(path, []byte("# mine\nctx = 4096 # why\n\n[bench]\nrounds = 3\n"), 0o600))
	set("queue_wait", "1m")
	has("# mine\nctx = 4096 # why\nqueue_wait = \"1m\"\n\n[bench]\nrounds = 3\n")
	set("ctx", "2048")
	set("keep_awake", "false")
	has("# mine\nctx = 2048\nqueue_wait = \"1m\"\nkeep_awake = false\n\n[bench]\nrounds = 3\n")
	require.NoError(t, config.Edit(path, "queue_wait", nil))
	require.NoError(t, config.Edit(path, "queue_wait", nil), "twice is as good as once")
	has("# mine\nctx = 2048\nkeep_awake = false\n\n[bench]\nrounds = 3\n")
	set("chat_template", `C:\odd "name"`)
	layer, err := config.FromFile(path)
	require.NoError(t, err)
	require.Contains(t, layer["chat_template"].Text, `C:\odd "name"`)

	before, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, value := range map[string]string{"ctx": "many", "queue_wait": "1", "keep_awake": "maybe", "kv": "f99", "nonsense": "1", "bench.rounds": "2", "addr": "0.0.0.0:1"} {
		require.Error(t, config.Edit(path, name, &value), name)
	}
	has(string(before))
	require.NoError(t, os.WriteFile(path, []byte("model = '''\na.gguf'''\n"), 0o600))
	other := "guide"
	require.Error(t, config.Edit(path, "model", &other), "what is not understood is not changed")
}

func TestDescribe(t *testing.T) {
	all, err := config.Describe(config.FromFlags(map[string]string{"ctx": "1"}), config.Layer{"ctx": {Text: "2", Origin: "x"}, "kv": {Text: "q8_0", Origin: "the file"}})
	require.NoError(t, err)
	require.Equal(t, config.Value{Text: "1", Origin: "--ctx"}, all["ctx"])
	require.Equal(t, config.Value{Text: "q8_0", Origin: "the file"}, all["kv"])
	require.Equal(t, config.Value{Text: "30s", Origin: "default"}, all["queue_wait"])
	require.Len(t, all, len(config.Keys))
}
