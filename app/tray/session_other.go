//go:build (tray || desktop) && !linux

package tray

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
)

// Session is the desktop that the menu is shown in.
type Session struct{}

// OpenSession finds the desktop. Its error says what is missing, for people.
func OpenSession(ctx context.Context, _ func(string) (string, bool)) (*Session, error) {
	if runtime.GOOS != "darwin" {
		return nil, errors.New("there is no menu bar on this system")
	}
	// Aqua is the session of somebody who sits at the screen; without it (over SSH, in a
	// daemon) the window server ends who asks it for a menu.
	out, err := exec.CommandContext(ctx, "/bin/launchctl", "managername").Output()
	if err == nil && strings.TrimSpace(string(out)) != "Aqua" {
		return nil, errors.New("nobody is logged in at the screen")
	}
	return &Session{}, nil
}

// Hosted says whether the menu bar is there, which it is.
func (s *Session) Hosted() bool { return true }

// Lost never is: the system ends us itself.
func (s *Session) Lost() <-chan struct{} { return nil }

// Close lets go of the desktop.
func (s *Session) Close() {}
