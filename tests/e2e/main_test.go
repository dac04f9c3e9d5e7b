package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// built is where TestMain put the executables, libs the staged libraries.
var built, libs string

func TestMain(m *testing.M) {
	code, err := prepareAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests/e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func prepareAndRun(m *testing.M) (code int, err error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return 0, err
	}
	libs = filepath.Join(root, "build", "engine", "staged", platform())
	if _, err := os.Stat(libs); err != nil {
		return 0, fmt.Errorf("the engine libraries are not staged; run `make setup` first: %w", err)
	}
	built, err = os.MkdirTemp("", "samovar-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built)) }()
	if err := build(root, "samovar", ".", raceDetector()); err != nil {
		return 0, err
	}
	if err := build(root, "samovar-engine", "./engine/samovar-engine", false); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func build(root, name, pkg string, race bool) error {
	args := []string{"build", "-buildvcs=false", "-o", filepath.Join(built, name)}
	cgo := "0"
	if race {
		args, cgo = append(args, "-race"), "1"
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return nil
}

// raceDetector says whether it can be built in: it needs a C compiler.
func raceDetector() bool {
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
