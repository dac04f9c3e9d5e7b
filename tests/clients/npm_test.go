package clients

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// stamp is in node_modules, which npm ci empties, so it can't outlive what it
// stands for: the lock file that was installed.
var stamp = filepath.Join("node_modules", ".samovar-installed")

// install has npm fetch the pinned clients, unless they are there already.
func install(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		require.NoError(t, err, "the clients run in Node.js; install version 20 or newer, with npm")
	}
	lock, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	if installed, err := os.ReadFile(stamp); err == nil && bytes.Equal(installed, lock) {
		return
	}
	npm, err := exec.LookPath("npm")
	require.NoError(t, err, "npm is missing; it comes with Node.js 20 or newer and fetches the clients once")
	out, err := exec.Command(npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error").CombinedOutput()
	require.NoError(t, err, "npm could not fetch the clients, which needs the package registry once:\n%s", out)
	require.NoError(t, os.WriteFile(stamp, lock, 0o644))
}
