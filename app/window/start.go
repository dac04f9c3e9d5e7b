package window

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"samovar/app/instance"
)

const (
	// startWithin is how long a Samovar may take to listen.
	startWithin = 30 * time.Second
	startPoll   = 50 * time.Millisecond
)

// Starter starts a Samovar that outlives this process.
type Starter struct {
	// Command is the program and its arguments.
	Command []string
	// Record is the file in which it says where it listens.
	Record string
	// Log is the file for what it says.
	Log string
}

// Start starts it and returns once it is live. Where one is live already, that will do.
func (s Starter) Start(ctx context.Context) error {
	if s.live(ctx) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o700); err != nil {
		return fmt.Errorf("cannot start Samovar: %w", err)
	}
	out, err := os.OpenFile(s.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot start Samovar: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's, and nobody's child
	keepPipes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start Samovar: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // it outlives this call as the process does
	return s.wait(ctx, ended)
}

// wait returns once it is live, or has ended without success.
func (s Starter) wait(ctx context.Context, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if s.live(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a Samovar was started and does not answer yet; %s", s.said())
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("a Samovar was started and ended; %s", s.said())
			}
			ended = nil // it found another one that serves, or is about to
		case <-time.After(startPoll):
		}
	}
}

// said is the last of what it said.
func (s Starter) said() string {
	raw, err := os.ReadFile(s.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(raw)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return "it said: " + last
	}
	return "it said nothing"
}

func (s Starter) live(ctx context.Context) bool {
	r, err := instance.Read(s.Record)
	return err == nil && live(ctx, Base(r.Addr))
}
