package proc

import (
	"os"
	"path/filepath"
)

// PrivateEnv is the worker's whole environment: no more than it needs, and a cache in
// dir, a folder that nobody else can write to. Its FFI library unpacks a shared
// library there on macOS and trusts what it finds.
func PrivateEnv(dir string) []string {
	return []string{
		"HOME=" + dir, "XDG_CACHE_HOME=" + filepath.Join(dir, "cache"), "TMPDIR=" + os.TempDir(),
		"GGML_NO_BACKTRACE=1", "LANG=C.UTF-8",
	}
}
