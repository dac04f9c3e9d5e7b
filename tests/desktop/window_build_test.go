package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// desktopTags are those of `make app` on Linux.
const desktopTags = "desktop,production,webkit2_41"

// withWindow builds the app with its window, once; it is the only one that needs a C
// compiler, GTK and WebKit. The engine lies beside it.
var withWindow = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(built.Dir, "desktop")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(program("samovar-engine"), filepath.Join(dir, "samovar-engine")); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "samovar")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-tags", desktopTags, "-o", out, ".")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: "go build -tags " + desktopTags + ": " + strings.TrimSpace(string(said)), Err: err}
	}
	return out, nil
})

// desktopProgram is the app with its window.
func desktopProgram(t *testing.T) string {
	t.Helper()
	for _, needed := range []string{"Xvfb", "openbox", "wmctrl", "xdotool", "import", "xclip"} {
		_, err := exec.LookPath(needed)
		require.NoError(t, err, "make desktop-deps installs what these tests need")
	}
	path, err := withWindow()
	require.NoError(t, err, "make desktop-deps installs what it needs to be built")
	return path
}
