package clients

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait. It is long: it ends only what has failed.
const patience = 90 * time.Second

// build leaves both executables in a folder, by the command that `make build`
// has compiled everything with, so that only linking is left.
func build(t *testing.T) (bin, libs string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	libs = filepath.Join(root, "bin", "lib")
	require.DirExists(t, libs, "the engine's libraries are missing; run `make build` first")
	bin = t.TempDir()
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", bin+string(filepath.Separator), ".", "./engine/samovar-engine")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin, libs
}

// serve starts samovar and returns its base URL once its engine is in a state.
func serve(t *testing.T, bin, libs, state string, args ...string) string {
	t.Helper()
	dir, log := t.TempDir(), &bytes.Buffer{}
	addrFile := filepath.Join(dir, "addr")
	cmd := exec.Command(filepath.Join(bin, "samovar"), append([]string{"serve", "--addr", "127.0.0.1:0",
		"--addr-file", addrFile, "--data-dir", filepath.Join(dir, "data"), "--threads", "1"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SAMOVAR_LIB_DIR=" + libs}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 5*time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its worker ends with it
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("output of samovar %s:\n%s", strings.Join(args, " "), log)
		}
	})
	var base string
	require.Eventually(t, func() bool {
		addr, err := os.ReadFile(addrFile)
		if err != nil {
			return false
		}
		base = "http://" + strings.TrimSpace(string(addr))
		return stateOf(base) == state
	}, patience, 20*time.Millisecond, "samovar %v does not get %s", args, state)
	return base
}

func stateOf(base string) string {
	resp, err := http.Get(base + "/health")
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	var health struct{ State string }
	if json.NewDecoder(resp.Body).Decode(&health) != nil {
		return ""
	}
	return health.State
}
