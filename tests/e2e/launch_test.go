package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelsThatAreNotStartedAtLaunch(t *testing.T) {
	in := start(t, setup{args: []string{"--shape", "tiny", "--start-at-launch=false"}})
	h := in.awaitState("stopped")
	require.Contains(t, h.Hint, "samovar start")
	require.Zero(t, h.WorkerPID)
	const path, ask = "/v1/chat/completions", `{"max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}`
	r := in.post(path, ask)
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.Contains(t, string(r.body), "stopped")
	require.Contains(t, in.log.String(), "samovar start")

	require.Equal(t, http.StatusOK, in.post("/samovar/v1/engine/start", "").status)
	in.awaitReady()
	require.Equal(t, http.StatusOK, in.post(path, ask).status)
}

// record is what a serving samovar leaves for windows and later starts.
type record struct {
	PID                  int
	Addr, Token, Version string
	Tray                 bool
}

func recordIn(t *testing.T, dataDir string) (r record) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dataDir, "state", "instance.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	return r
}

func TestTheInstanceIsOnRecord(t *testing.T) {
	dir := t.TempDir()
	in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	in.await("the announcement", func() bool { return strings.Contains(in.log.String(), "curl") })
	r := recordIn(t, dir)
	require.Equal(t, record{PID: in.cmd.Process.Pid, Addr: strings.TrimPrefix(in.base, "http://"), Token: r.Token, Version: in.health().Version}, r)
	info, err := os.Stat(filepath.Join(dir, "state", "instance.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// The page's token is what a browser needs.
	stop := func(token string) int {
		req := in.request("/samovar/v1/engine/stop", "")
		req.Header.Set("Origin", "wails://wails")
		req.Header.Set("X-Samovar-Page", token)
		return in.do(req).status
	}
	require.Equal(t, http.StatusForbidden, stop(""))
	require.Equal(t, http.StatusOK, stop(r.Token))

	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	require.NoFileExists(t, filepath.Join(dir, "state", "instance.json"))
	again := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	again.await("the announcement", func() bool { return strings.Contains(again.log.String(), "curl") })
	require.Equal(t, r.Token, recordIn(t, dir).Token, "pages that are open go on")
}

// A second start with nothing else to do shows the first, or says where it is. A service
// that asks to serve is told that it cannot.
func TestASecondStart(t *testing.T) {
	dir := t.TempDir()
	in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	second := func(args ...string) (string, int) {
		out, errs, code := runToEnd(t, []string{"SAMOVAR_DATA_DIR=" + dir, "SAMOVAR_ADDR=" + strings.TrimPrefix(in.base, "http://")}, args...)
		require.Empty(t, out)
		return errs, code
	}
	said, code := second()
	require.Zero(t, code, said)
	require.Contains(t, said, "runs already (pid "+strconv.Itoa(in.cmd.Process.Pid))
	require.Contains(t, said, in.base)
	said, code = second("serve")
	require.Equal(t, 4, code)
	require.Contains(t, said, "uses the data folder")
	said, code = second("open", "samovar://open/models")
	require.Zero(t, code, said)
	require.Contains(t, said, in.base+"/#/models")

	// One that was killed leaves a record that nobody believes.
	require.NoError(t, in.cmd.Process.Kill())
	in.awaitExit()
	require.FileExists(t, filepath.Join(dir, "state", "instance.json"))
	said, code = second("open", "samovar://open/models")
	require.Equal(t, 1, code)
	require.Contains(t, said, "samovar serve")
}
