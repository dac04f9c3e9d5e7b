package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/bench"
)

// runToEnd runs a command that ends by itself.
func runToEnd(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the state says how it ended
	require.NotNil(t, cmd.ProcessState)
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestVersion(t *testing.T) {
	out, errs, code := runToEnd(t, nil, "version")
	require.Zero(t, code)
	require.Empty(t, errs)
	require.True(t, strings.HasPrefix(out, "samovar "))

	out, _, code = runToEnd(t, nil, "version", "--json")
	require.Zero(t, code)
	var v struct{ Version, Go, OS, Arch string }
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.NotEmpty(t, v.Version)
	require.NotEmpty(t, v.Go+v.OS+v.Arch)
}

func TestWrongInvocations(t *testing.T) {
	dir := t.TempDir()
	template := filepath.Join(dir, "empty.jinja")
	require.NoError(t, os.WriteFile(template, nil, 0o600))
	badSettings := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(badSettings, "settings.toml"), []byte("adr = '127.0.0.1:1'"), 0o600))
	cases := []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{"unknown command", nil, []string{"launch", "claude"}, []string{`"launch"`, "serve"}},
		{"no model's name", nil, []string{"pull", "qwen"}, []string{"qwen", "owner/repo"}},
		{"unknown flag", nil, []string{"serve", "--frobnicate"}, []string{"--frobnicate", "--help"}},
		{"unknown model", nil, []string{"serve", "--model", "qwen"}, []string{"--model", `"qwen"`, "guide", ".gguf"}},
		{"missing model file", nil, []string{"serve", "--model", filepath.Join(dir, "none.gguf")}, []string{"none.gguf"}},
		{"model is a folder", nil, []string{"serve", "--model", dir + "/"}, []string{dir, "folder"}},
		{"unknown shape", nil, []string{"serve", "--shape", "900b"}, []string{"900b", "0.5b", "tiny"}},
		{"model and shape", nil, []string{"serve", "--model", "guide", "--shape", "tiny"}, []string{"--model", "--shape"}},
		{"whole network", nil, []string{"serve", "--addr", "0.0.0.0:7266"}, []string{"0.0.0.0:7266", "loopback"}},
		{"whole network by variable", []string{"SAMOVAR_ADDR=:7266"}, []string{"serve"}, []string{"SAMOVAR_ADDR", "loopback"}},
		{"context", nil, []string{"serve", "--ctx=-1"}, []string{"--ctx", "-1"}},
		{"kv", []string{"SAMOVAR_KV=f99"}, []string{"serve"}, []string{"SAMOVAR_KV", "f99", "f16"}},
		{"missing template", nil, []string{"serve", "--chat-template", filepath.Join(dir, "none.jinja")}, []string{"none.jinja"}},
		{"empty template", nil, []string{"serve", "--chat-template", template}, []string{"empty.jinja"}},
		{"settings file", nil, []string{"serve", "--data-dir", badSettings}, []string{"settings.toml", `"adr"`, `"addr"`}},
		{"bench rounds", nil, []string{"bench", "decode", "--rounds", "0"}, []string{"--rounds"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--data-dir") && args[0] == "serve" {
				args = append(args, "--data-dir", t.TempDir())
			}
			out, errs, code := runToEnd(t, c.env, args...)
			require.Equal(t, 2, code, errs)
			require.Empty(t, out)
			for _, part := range c.want {
				require.Contains(t, errs, part)
			}
			require.Equal(t, 1, strings.Count(errs, "\n"), "one line: %s", errs)
			require.NotContains(t, errs, "goroutine")
		})
	}
}

// TestPrecedence shows each layer winning over the weaker ones, through the
// executable: the model's name tells which one did.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	served := func(env []string, args ...string) string {
		in := start(t, setup{dataDir: dir, env: env, args: args})
		id := in.health().Model.ID
		in.signal(syscall.SIGTERM)
		in.awaitExit()
		return id
	}
	broken := func(name string) string {
		path := filepath.Join(dir, name+".gguf")
		require.NoError(t, os.WriteFile(path, []byte("GGUF"), 0o600))
		return path
	}
	require.Equal(t, "guide", served(nil), "default")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "settings.toml"), []byte("model = 'from-file.gguf'"), 0o600))
	broken("from-file")
	require.Equal(t, "from-file", served(nil), "file over default")
	require.Equal(t, "from-env", served([]string{"SAMOVAR_MODEL=" + broken("from-env")}), "variable over file")
	require.Equal(t, "from-flag", served([]string{"SAMOVAR_MODEL=" + broken("from-env")}, "--model", broken("from-flag")), "flag over variable")
}

func TestBareSamovarServes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addr")
	in := launch(t, command(t, []string{"SAMOVAR_ADDR=127.0.0.1:0", "SAMOVAR_ADDR_FILE=" + file, "SAMOVAR_DATA_DIR=" + t.TempDir()}))
	in.await("the address", func() bool { _, err := os.Stat(file); return err == nil })
	in.await("the announcement", func() bool { return strings.Contains(in.log.String(), "curl") })
	require.Contains(t, in.log.String(), "no menu bar")
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
}

func TestJSONLogs(t *testing.T) {
	in := start(t, setup{args: []string{"--json-logs"}})
	in.awaitReady()
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	said := map[string]bool{}
	for line := range strings.Lines(in.log.String()) {
		var record struct{ Level, Msg, Addr string }
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		said[record.Msg] = true
		if record.Msg == "listening" {
			require.Equal(t, in.base, "http://"+record.Addr)
		}
	}
	for _, msg := range []string{"listening", "ready", "all KV is kept", "stopped"} {
		require.True(t, said[msg], msg)
	}
}

func TestBenchDecode(t *testing.T) {
	out, errs, code := runToEnd(t, nil, "bench", "decode", "--shape", "tiny", "--streams", "2", "--tokens", "600", "--rounds", "2", "--data-dir", t.TempDir(), "--json")
	require.Zero(t, code, errs)
	require.Empty(t, errs)
	var r struct {
		RatioToRaw   float64 `json:"ratio_to_raw"`
		Measurements []struct {
			Streams    int     `json:"streams"`
			RatioToRaw float64 `json:"ratio_to_raw"`
		} `json:"measurements"`
		Machine struct{ CPU string } `json:"machine"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	require.Positive(t, r.RatioToRaw)
	require.Len(t, r.Measurements, 2)
	require.Equal(t, 2, r.Measurements[1].Streams)
	require.NotEmpty(t, r.Machine.CPU)
}

func TestBenchResume(t *testing.T) {
	html := filepath.Join(t.TempDir(), "resume.html")
	out, errs, code := runToEnd(t, nil, "bench", "resume", "--shape", "tiny", "--lengths", "600,300", "--rounds", "2", "--scenario", "endings,overhead,experts", "--data-dir", t.TempDir(), "--json", "--html", html)
	require.Zero(t, code, errs)
	require.Empty(t, errs)
	var report bench.ResumeReport
	require.NoError(t, json.Unmarshal([]byte(out), &report), out)
	require.NotNil(t, report.Endings)
	require.Len(t, report.Overhead.Decode.Ratios, 2)
	require.Len(t, report.Workloads, 1)
	for i, round := range report.Workloads[0].Kept[1:] {
		require.Less(t, 10*round.ComputedTokens, round.PromptTokens, "what was computed once is there")
		require.Greater(t, 2*report.Workloads[0].NotKept[i+1].ComputedTokens, round.PromptTokens, "the pool alone has not the room")
	}
	r := *report.Endings
	require.Zero(t, r.Disproved)
	require.InDelta(t, 1, r.WrittenRatio, 0.1)
	require.Len(t, r.Lengths, 2)
	require.Less(t, r.Lengths[0].PromptTokens, r.Lengths[1].PromptTokens)
	for _, l := range r.Lengths {
		var endings []bench.Ending
		for _, e := range l.Resumed {
			endings = append(endings, e.Ending)
			require.Equal(t, 2, e.TTFT.Count)
			require.Positive(t, e.Ratio)
			require.GreaterOrEqual(t, e.LeastCached, l.PromptTokens, "%s: its last token's logits are kept, too", e.Ending)
		}
		require.Equal(t, []bench.Ending{bench.Hot, bench.Evicted, bench.Killed, bench.Unloaded, bench.Restarted, bench.Dropped}[:len(endings)], endings)
		require.GreaterOrEqual(t, len(endings), 5)
	}
	page, err := os.ReadFile(html)
	require.NoError(t, err)
	require.Contains(t, string(page), "Samovar bench resume")

	_, errs, code = runToEnd(t, []string{"SAMOVAR_KEEP_QUOTA=0"}, "bench", "resume", "--shape", "tiny", "--data-dir", t.TempDir())
	require.Equal(t, 2, code)
	require.Contains(t, errs, "keep_quota")
}
