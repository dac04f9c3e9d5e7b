package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/notify"
	"samovar/engine/infer"
)

// sentNotes is a desktop that notes what it is to show.
type sentNotes struct {
	notes  chan notify.Note
	err    error
	closed bool
}

func (s *sentNotes) Send(ctx context.Context, n notify.Note) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("a desktop that hangs would be waited for")
	}
	s.notes <- n
	return s.err
}

func (s *sentNotes) Close() error {
	s.closed = true
	return nil
}

// scripted is a fleet to which things happen.
type scripted struct {
	moves chan infer.Transition
	mu    sync.Mutex
	now   infer.Overview
}

func (s *scripted) Overview() infer.Overview {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scripted) Transitions() (<-chan infer.Transition, func()) { return s.moves, func() {} }

func TestNotesAreSentOfEverything(t *testing.T) {
	to, from := &sentNotes{notes: make(chan notify.Note, 8), err: errors.New("there is no panel")}, &scripted{moves: make(chan infer.Transition)}
	pulls, ticks := make(chan infer.Pull), make(chan time.Time)
	var wanted atomic.Bool
	wanted.Store(true)
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		sendNotes(ctx, to, from, pulls, ticks, wanted.Load, newLogger(&out, false))
	}()
	pulls <- infer.Pull{Name: "a", State: infer.PullDone}
	require.Equal(t, notify.Downloaded, (<-to.notes).Kind)
	from.moves <- infer.Transition{Model: "a", To: infer.StateFailed}
	require.Equal(t, notify.EngineFailed, (<-to.notes).Kind)
	ticks <- time.Time{} // nothing new
	from.mu.Lock()
	from.now.Models = []infer.Status{{Model: infer.Model{ID: "b"}, Kept: infer.Kept{On: true, Off: "The disk is full."}}}
	from.mu.Unlock()
	ticks <- time.Time{}
	require.Equal(t, notify.NotSaving, (<-to.notes).Kind)
	ticks <- time.Time{}
	wanted.Store(false)
	pulls <- infer.Pull{Name: "b", State: infer.PullDone}
	cancel()
	<-done
	require.True(t, to.closed)
	require.Empty(t, to.notes, "nobody wants more")
	require.Equal(t, 1, strings.Count(out.String(), "there is no panel"), "it is said once")

	sendNotes(t.Context(), nil, from, pulls, ticks, nil, nil) // there is no desktop: it returns
}
