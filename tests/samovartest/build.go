package samovartest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Built is where the executables and the engine's libraries are.
type Built struct {
	// Dir holds samovar and samovar-engine.
	Dir string
	// Libs is SAMOVAR_LIB_DIR; without it samovar finds them itself.
	Libs string
}

// Main is TestMain of a package whose tests start servers: it builds into into,
// runs the tests and cleans up. samovar gets the race detector where there is a C
// compiler.
func Main(m *testing.M, into *Built) {
	code, err := buildAndRun(m, into)
	if err != nil {
		fmt.Fprintln(os.Stderr, "before the tests:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M, into *Built) (code int, err error) {
	dir, err := os.MkdirTemp("", "samovar-test-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if *into, err = Build(dir, RaceDetector()); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// Build leaves both executables in a folder, samovar built with tags. The test runs two
// folders below the repository's root.
func Build(dir string, race bool, tags ...string) (Built, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return Built{}, err
	}
	b := Built{Dir: dir, Libs: filepath.Join(root, "build", "engine", "staged", platform())}
	if _, err := os.Stat(b.Libs); err != nil {
		return Built{}, fmt.Errorf("the engine libraries are not staged; run `make setup` first: %w", err)
	}
	if err := build(root, filepath.Join(dir, "samovar"), ".", race, tags...); err != nil {
		return Built{}, err
	}
	return b, build(root, filepath.Join(dir, "samovar-engine"), "./engine/samovar-engine", false)
}

// build uses the flags of `make build`, so that after it only linking is left.
func build(root, out, pkg string, race bool, tags ...string) error {
	args, cgo := []string{"build", "-buildvcs=false", "-trimpath", "-tags", strings.Join(tags, ","), "-o", out}, "0"
	if race {
		args, cgo = append(args, "-race"), "1"
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// RaceDetector says whether it can be built in: it needs a C compiler.
func RaceDetector() bool {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	_, err := exec.LookPath(cc)
	return err == nil
}

// platform is what the staged libraries of this machine are called.
func platform() string {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "darwin/arm64":
		return "mac-arm64-metal"
	case "darwin/amd64":
		return "mac-x64"
	case "linux/arm64":
		return "linux-arm64"
	default:
		return "linux-x64"
	}
}
