package desktop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"samovar/tests/samovartest"
)

// built is where TestMain put the executables.
var built samovartest.Built

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "before the tests:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "samovar-desktop-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if built, err = samovartest.Build(dir, false, "tray"); err != nil {
		return 0, err
	}
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		return 0, fmt.Errorf("the Debian package dbus has dbus-daemon, which these tests need: %w", err)
	}
	return m.Run(), nil
}

// program is an executable's path.
func program(name string) string { return filepath.Join(built.Dir, name) }
