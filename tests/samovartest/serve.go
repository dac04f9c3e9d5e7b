package samovartest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

const (
	// patience bounds every wait. It is long: it ends only what has failed.
	patience = 90 * time.Second
	look     = 20 * time.Millisecond
)

// Serve starts samovar in folders of its own, on a port that the system chooses,
// and returns its base URL once its engine is in a state. It ends with the test.
func Serve(t *testing.T, b Built, state string, args ...string) string {
	t.Helper()
	dir, log := t.TempDir(), &bytes.Buffer{}
	addrFile := filepath.Join(dir, "addr")
	cmd := exec.Command(filepath.Join(b.Dir, "samovar"), append([]string{"serve", "--addr", "127.0.0.1:0",
		"--addr-file", addrFile, "--data-dir", filepath.Join(dir, "data"), "--threads", "1"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GORACE=atexit_sleep_ms=20"}
	if b.Libs != "" {
		cmd.Env = append(cmd.Env, "SAMOVAR_LIB_DIR="+b.Libs)
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 5*time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its worker saves, and ends
		_ = cmd.Wait()
		Released(t, filepath.Join(dir, "data"))
		if strings.Contains(log.String(), "DATA RACE") {
			t.Error("the race detector found something")
		}
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
	}, patience, look, "samovar %v does not get %s", args, state)
	return base
}

// Released waits until no worker writes into a data folder any more.
func Released(t *testing.T, dataDir string) {
	t.Helper()
	locks, err := filepath.Glob(filepath.Join(dataDir, "kv", "*", "lock"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, name := range locks {
		l := flock.New(name)
		if ok, err := l.TryLockContext(ctx, look); !ok {
			t.Errorf("a worker still has %s: %v", name, err)
		}
		require.NoError(t, l.Close())
	}
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
