//go:build linux || darwin

package power

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// helperGrace is what a helper has for leaving when told to; it has nothing to do.
const helperGrace = 2 * time.Second

// caffeinate is macOS's helper: it holds idle sleep (-i) off until it or we end (-w).
func caffeinate(pid int) []string {
	return []string{"/usr/bin/caffeinate", "-i", "-w", strconv.Itoa(pid)}
}

// inhibit is systemd's helper: it holds the lock for as long as the command runs. GNOME
// puts the machine to sleep on its own account, so without the lock on sleep, that on
// idle wouldn't do.
func inhibit() []string {
	return []string{
		"systemd-inhibit", "--what=idle:sleep", "--who=Samovar", "--why=A model is answering",
		"--mode=block", "sleep", "infinity",
	}
}

// runHelper runs a command until the context ends. Its error carries what the command
// complained of.
func runHelper(ctx context.Context, argv []string, attr *syscall.SysProcAttr) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("there's no %s on this machine: %w", argv[0], errors.ErrUnsupported)
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.SysProcAttr = attr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = helperGrace
	_, err = cmd.Output()
	if err == nil {
		err = errEnded
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if complaint := bytes.TrimSpace(exit.Stderr); len(complaint) > 0 {
			return fmt.Errorf("%s: %w: %s", argv[0], err, complaint)
		}
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}
