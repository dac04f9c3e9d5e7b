package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/server/control"
)

// put sends a setting; value is JSON.
func (in *instance) put(name, value string) response {
	in.t.Helper()
	req, err := http.NewRequest(http.MethodPut, in.base+"/samovar/v1/settings", strings.NewReader(`{"name":"`+name+`","value":`+value+`}`))
	require.NoError(in.t, err)
	return in.do(req)
}

func (in *instance) setting(name string) control.Setting {
	in.t.Helper()
	var all control.SettingsView
	in.get("/samovar/v1/settings").decode(&all)
	i := slices.IndexFunc(all.Settings, func(s control.Setting) bool { return s.Name == name })
	require.GreaterOrEqual(in.t, i, 0, name)
	return all.Settings[i]
}

func TestSettingsLogsAndDoctorByHTTP(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.toml")
	require.NoError(t, os.WriteFile(file, []byte("# mine\nqueue_max = 100\n"), 0o600))
	in := start(t, setup{dataDir: dir, env: []string{"SAMOVAR_QUEUE_WAIT=20s"}})
	in.awaitReady()
	require.Equal(t, "the settings file", in.setting("queue_max").Origin)
	require.Equal(t, "SAMOVAR_QUEUE_WAIT", in.setting("queue_wait").Origin)
	require.Equal(t, "--addr", in.setting("addr").Origin)
	require.Equal(t, "default", in.setting("ctx").Origin)

	// One that takes effect at once: another worker has it.
	pid := in.health().WorkerPID
	require.Equal(t, http.StatusOK, in.put("ctx", `"2048"`).status)
	in.await("another worker", func() bool { h := in.health(); return h.State == "ready" && h.WorkerPID != pid })
	require.Equal(t, 2048, in.health().Model.ContextTokens)
	require.Equal(t, "2048", in.setting("ctx").Value)
	// One that does not.
	require.Equal(t, http.StatusOK, in.put("queue_max", `"50"`).status)
	s := in.setting("queue_max")
	require.Equal(t, "100", s.Value)
	require.Equal(t, "50", *s.InFile)
	require.True(t, s.Pending)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "# mine\nqueue_max = 50\nctx = 2048\n", string(raw))

	for name, value := range map[string]string{"ctx": `"many"`, "kv": `"f99"`, "nonsense": `"1"`, "bench.rounds": `"1"`} {
		r := in.put(name, value)
		require.Equal(t, http.StatusBadRequest, r.status, name)
		require.Contains(t, string(r.body), name)
	}
	require.Equal(t, http.StatusBadRequest, in.put("ctx", `2048`).status, "values are text")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(raw), string(after))

	require.Equal(t, http.StatusOK, in.put("ctx", `null`).status)
	in.await("the model's own context", func() bool { h := in.health(); return h.State == "ready" && h.Model.ContextTokens > 2048 })

	var logs struct{ Lines []control.LogLine }
	in.get("/samovar/v1/logs").decode(&logs)
	require.True(t, slices.ContainsFunc(logs.Lines, func(l control.LogLine) bool { return l.Message == "ready" && len(l.Fields) > 0 }))
	require.Equal(t, http.StatusBadRequest, in.get("/samovar/v1/logs?limit=0").status)
	var doctor struct{ Findings []control.Finding }
	in.get("/samovar/v1/doctor").decode(&doctor)
	require.Greater(t, len(doctor.Findings), 5)
	for _, f := range doctor.Findings {
		require.NotEqual(t, "problem", f.Level, "%+v", f)
	}
}
