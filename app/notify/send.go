package notify

import (
	"context"
	"fmt"
)

// Sender shows notes on a desktop. It is for one goroutine.
type Sender interface {
	Send(ctx context.Context, n Note) error
	Close() error
}

// Options are what a Sender needs.
type Options struct {
	// Run runs a program of the system to its end.
	Run func(ctx context.Context, name string, args ...string) error
}

// appName is how notes are signed.
const appName = "Samovar"

// script shows notes by osascript, which has no click and no icon of ours, but needs no
// signed bundle.
type script struct{ Options }

// Send implements Sender. Texts are arguments of the script and never part of it. Its
// title, which comes first, begins with a letter, so that none of them is an option.
func (s script) Send(ctx context.Context, n Note) error {
	err := s.Run(ctx, "/usr/bin/osascript",
		"-e", "on run argv",
		"-e", "display notification (item 2 of argv) with title (item 3 of argv) subtitle (item 1 of argv)",
		"-e", "end run",
		n.Title, n.Body, appName)
	if err != nil {
		return fmt.Errorf("cannot show a notification: %w", err)
	}
	return nil
}

// Close implements Sender.
func (script) Close() error { return nil }
