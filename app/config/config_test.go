package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/config"
)

// samples holds, for each key, three allowed values that differ from each
// other (unless there are only two in all) and from the default, and one that is refused ("" if none can be).
var samples = map[string]struct {
	flag, env, file string // file as it stands in TOML
	refused         string
}{
	"data_dir":        {"/a", "/b", `"/c"`, ""},
	"json_logs":       {"true", "1", `true`, "perhaps"},
	"addr":            {"127.0.0.1:1", "[::1]:2", `"localhost:3"`, "127.0.0.1"},
	"addr_file":       {"/a", "/b", `"/c"`, ""},
	"model":           {"/a.gguf", "/b.gguf", `"/c.gguf"`, "two words"},
	"shape":           {"1b", "3b", `"8b"`, ""},
	"ctx":             {"1", "2", `3`, "-1"},
	"kv":              {"f32", "bf16", `"q8_0"`, "q3"},
	"keep_quota":      {"1GiB", "2GiB", `"3GB"`, "much"},
	"keep_daily":      {"1GiB", "2GiB", `"3GB"`, "-1"},
	"keep_memory":     {"1GiB", "2GiB", `"3GB"`, "1 GiBB"},
	"threads":         {"1", "2", `3`, "many"},
	"chat_template":   {"/a", "/b", `"/c"`, ""},
	"bench.lengths":   {"64", "100,2000", `"99, 77"`, "512,many"},
	"bench.url":       {"http://a:1", "https://b", `"http://127.0.0.1:7266/v1"`, "localhost:7266"},
	"bench.scenario":  {"slow", "burst", `"levels,storm"`, ""},
	"bench.api":       {"anthropic", "anthropic", `"anthropic"`, "ollama"},
	"bench.quick":     {"true", "1", `true`, "maybe"},
	"bench.html":      {"/a", "/b", `"/c"`, ""},
	"bench.streams":   {"1", "2", `3`, "0"},
	"bench.tokens":    {"11", "12", `13`, "1"},
	"bench.rounds":    {"1", "2", `3`, "0"},
	"kv_memory":       {"1GiB", "512MiB", `"2GB"`, "much"},
	"models":          {"/a.gguf", "guide,shape-1b", `"b.gguf"`, "a b"},
	"pinned":          {"guide", "a,b", `"c"`, " , "},
	"memory":          {"1GiB", "512MiB", `"2GB"`, "much"},
	"unload_after":    {"1h", "never", `"20m"`, "1s"},
	"pull_limit":      {"1MB", "5MB", `"2MiB"`, "fast"},
	"keep_awake":      {"false", "false", `false`, "maybe"},
	"menu_title":      {"ttft", "tps", `"ttft"`, "clock"},
	"start_at_launch": {"false", "0", `false`, "later"},
	"notifications":   {"false", "0", `false`, "some"},
	"queue_max":       {"1", "2", `3`, "0"},
	"queue_wait":      {"1s", "2m", `"3m30s"`, "30"},
}

// resolve merges layers that are known to be good. Settings are compared whole:
// a key that reached the wrong field would show.
func resolve(t *testing.T, layers ...config.Layer) config.Settings {
	t.Helper()
	s, err := config.Resolve(layers...)
	require.NoError(t, err)
	return s
}

func fileLayer(t *testing.T, content string) (config.Layer, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.toml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return config.FromFile(path)
}

func envLayer(vars map[string]string) config.Layer {
	return config.FromEnv(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
}

func TestEveryKeyHasASample(t *testing.T) {
	names := slices.Sorted(maps.Keys(samples))
	var keys []string
	for _, k := range config.Keys {
		keys = append(keys, k.Name)
	}
	slices.Sort(keys)
	require.Equal(t, keys, names)
}

func TestPrecedenceFlagVariableFileDefault(t *testing.T) {
	for _, k := range config.Keys {
		t.Run(k.Name, func(t *testing.T) {
			s := samples[k.Name]
			flags := config.FromFlags(map[string]string{k.Flag(): s.flag})
			vars := envLayer(map[string]string{k.Env(): s.env})
			file, err := fileLayer(t, k.Name+" = "+s.file)
			require.NoError(t, err)
			require.Len(t, flags, 1)
			require.Len(t, vars, 1)
			require.Len(t, file, 1)

			none := resolve(t)
			byFlag, byEnv, byFile := resolve(t, flags), resolve(t, vars), resolve(t, file)
			require.NotEqual(t, none, byFlag)
			require.NotEqual(t, none, byEnv)
			require.NotEqual(t, none, byFile)
			if k.Kind != config.YesNo && s.flag != s.env {
				require.NotEqual(t, byFlag, byEnv)
				require.NotEqual(t, byEnv, byFile)
			}
			require.Equal(t, byFlag, resolve(t, flags, vars, file))
			require.Equal(t, byFlag, resolve(t, flags, config.Layer{}, file))
			require.Equal(t, byEnv, resolve(t, config.Layer{}, vars, file))
			require.Equal(t, byFile, resolve(t, config.Layer{}, config.Layer{}, file))
		})
	}
}

func TestStrongerLayerCanSwitchOff(t *testing.T) {
	file, err := fileLayer(t, "json_logs = true")
	require.NoError(t, err)
	require.True(t, resolve(t, file).JSONLogs)
	require.False(t, resolve(t, config.FromFlags(map[string]string{"json-logs": "false"}), file).JSONLogs)
}

func TestRefusedValuesNameEverything(t *testing.T) {
	for _, k := range config.Keys {
		bad := samples[k.Name].refused
		if bad == "" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			_, err := config.Resolve(config.FromFlags(map[string]string{k.Flag(): bad}))
			for _, part := range []string{"--" + k.Flag(), bad, k.Allowed} {
				require.ErrorContains(t, err, part)
			}
			_, err = config.Resolve(envLayer(map[string]string{k.Env(): bad}))
			for _, part := range []string{k.Env(), bad, k.Allowed} {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:7266", ":7266", "[::]:7266", "192.168.1.5:7266", "example.org:7266"} {
		_, err := config.Resolve(config.FromFlags(map[string]string{"addr": addr}))
		require.ErrorContains(t, err, "loopback", addr)
		require.ErrorContains(t, err, "token", addr)
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:80", "[::1]:65535", "127.3.4.5:1"} {
		require.Equal(t, addr, resolve(t, config.FromFlags(map[string]string{"addr": addr})).Addr)
	}
	for _, addr := range []string{"127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1:-1", "7266"} {
		_, err := config.Resolve(config.FromFlags(map[string]string{"addr": addr}))
		require.ErrorContains(t, err, "not allowed", addr)
	}
}

func TestModelAndShapeAreOneChoice(t *testing.T) {
	shape := config.Layer{"shape": {Text: "0.5b", Origin: "--shape"}}
	model := config.Layer{"model": {Text: "/m.gguf", Origin: "SAMOVAR_MODEL"}}

	s := resolve(t, shape, model)
	require.Equal(t, "0.5b", s.Shape)
	require.Empty(t, s.Model)

	s = resolve(t, model, shape)
	require.Empty(t, s.Shape)
	require.Equal(t, "/m.gguf", s.Model)

	both := config.FromFlags(map[string]string{"shape": "1b", "model": "guide"})
	_, err := config.Resolve(both)
	require.ErrorContains(t, err, "--model and --shape exclude each other")
	require.Equal(t, "0.5b", resolve(t, shape, both).Shape, "a stronger layer settles it")
}

func TestSettingsFileErrors(t *testing.T) {
	cases := map[string]struct {
		content string
		want    []string
	}{
		"typo":           {"thread = 4", []string{`"thread"`, `did you mean "threads"`}},
		"flag's name":    {"data-dir = '/x'", []string{`did you mean "data_dir"`}},
		"nothing near":   {"colour = 'blue'", []string{`"colour"`, "there are:", "addr", "bench.rounds"}},
		"in a table":     {"[bench]\nstream = 3", []string{`did you mean "bench.streams"`}},
		"unknown table":  {"[server]\naddr = '127.0.0.1:1'", []string{`"server"`}},
		"text as number": {"ctx = '4096'", []string{"ctx", "4096", "a number"}},
		"number as text": {"addr = 7266", []string{"addr", "7266", "text in quotes"}},
		"broken":         {"addr = \n", []string{"line 1"}},
		"twice":          {"ctx = 1\nctx = 2", []string{"line 2", "ctx"}},
		"array":          {"kv = ['f16']", []string{"kv", "text in quotes"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := fileLayer(t, c.content)
			require.ErrorContains(t, err, "settings.toml")
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestSettingsFileRefusedValueNamesTheFile(t *testing.T) {
	layer, err := fileLayer(t, "kv = 'q3'")
	require.NoError(t, err)
	_, err = config.Resolve(layer)
	for _, part := range []string{"settings.toml: kv", "q3", "f16", "q8_0"} {
		require.ErrorContains(t, err, part)
	}
}

func TestMissingSettingsFileSetsNothing(t *testing.T) {
	layer, err := config.FromFile(filepath.Join(t.TempDir(), "none.toml"))
	require.NoError(t, err)
	require.Empty(t, layer)
	_, err = config.FromFile(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
}

func TestPathsInTheFileAreRelativeToIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.toml")
	require.NoError(t, os.WriteFile(path, []byte("chat_template = 'own.jinja'\nmodel = 'm.gguf'"), 0o600))
	layer, err := config.FromFile(path)
	require.NoError(t, err)
	s := resolve(t, layer)
	require.Equal(t, filepath.Join(filepath.Dir(path), "own.jinja"), s.ChatTemplate)
	require.Equal(t, filepath.Join(filepath.Dir(path), "m.gguf"), s.Model)

	layer, err = fileLayer(t, "model = 'guide'")
	require.NoError(t, err)
	require.Equal(t, "guide", resolve(t, layer).Model)
}

func TestDefaults(t *testing.T) {
	require.Equal(t, config.Settings{
		Addr: "127.0.0.1:7266", Model: "guide", KVType: "f16", QueueMax: 256, QueueWait: 30 * time.Second,
		Unload: config.UnloadAuto, KeepAwake: true, MenuTitle: "off", StartAtLaunch: true, Notifications: true, KeepQuota: 32 << 30, KeepDaily: 128 << 30, KeepMemory: 256 << 20,
		Bench: config.Bench{Streams: 4, Tokens: 128, Rounds: 9, Lengths: []int{1024, 2048, 4096, 8192}, API: "openai", Scenario: "all"},
	}, resolve(t))
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "1048576": 1 << 20, "512MiB": 512 << 20, "2GiB": 2 << 30, "1.5 GiB": 3 << 29, "2GB": 2_000_000_000} {
		require.Equal(t, want, resolve(t, config.FromFlags(map[string]string{"kv-memory": text})).KVBytes, text)
	}
	for _, text := range []string{"-1", "2 GiB more", "1e40", "GiB", "9EiB"} {
		_, err := config.Resolve(config.FromFlags(map[string]string{"kv-memory": text}))
		require.ErrorContains(t, err, "512MiB", text)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"serve", "version", "bench"}
	for word, want := range map[string]string{"serv": "serve", "versoin": "version", "Bench": "bench", "pull": "", "": ""} {
		require.Equal(t, want, config.Nearest(word, words), word)
	}
}

func FuzzSettingsFile(f *testing.F) {
	f.Add("addr = '127.0.0.1:1'\n[bench]\nstreams = 2")
	f.Add("ctx = 1e9\nx = 1979-05-27")
	f.Fuzz(func(t *testing.T, content string) {
		layer, err := fileLayer(t, content)
		if err == nil {
			_, _ = config.Resolve(layer)
		}
	})
}
