package llamatest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// LibDir returns the staged engine libraries for this machine, for tests of the
// real thing. Without them the test fails: they are what it is about.
func LibDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("SAMOVAR_LIB_DIR"); dir != "" {
		return dir
	}
	platform := map[string]string{
		"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64",
		"darwin/arm64": "mac-arm64-metal", "darwin/amd64": "mac-x64",
	}[runtime.GOOS+"/"+runtime.GOARCH]
	dir := filepath.Join(root(), "build", "engine", "staged", platform)
	if _, err := os.Stat(dir); err != nil || platform == "" {
		t.Fatalf("the engine libraries are not staged (%v): run `make setup`", err)
	}
	return dir
}

// Guide returns the path of the built-in model.
func Guide(t testing.TB) string {
	t.Helper()
	path := filepath.Join(root(), "engine", "models", "guide", "guide.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// root is the repository's.
func root() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "..", "..")
}
