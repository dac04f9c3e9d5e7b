package engine

import (
	"context"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

func TestWatchdog(t *testing.T) {
	busy, pings, killed := false, 0, false
	w := &watchdog{busy: func() bool { return busy }, ping: func() bool { pings++; return true }, kill: func() { killed = true }}
	now := time.Now()
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	w.look(at(0))
	require.Zero(t, pings, "an idle worker is left alone")
	busy = true
	w.look(at(100))
	w.look(at(101))
	require.Equal(t, 1, pings, "it is asked once")
	w.answered(wire.Pong{StepSeconds: 3}, at(101))
	w.look(at(102))
	require.Equal(t, 2, pings)
	busy = false
	w.look(at(105))
	busy = true
	w.look(at(1000))
	require.False(t, killed, "what it was not asked it need not have answered")
	w.look(at(1009.9))
	require.False(t, killed)
	w.look(at(1010))
	require.True(t, killed)
	require.Contains(t, w.verdict(), "did not answer")

	killed = false
	w = &watchdog{busy: func() bool { return true }, ping: func() bool { return true }, kill: func() { killed = true }}
	w.look(at(0))
	w.answered(wire.Pong{StepSeconds: 119}, at(0))
	w.look(at(1))
	require.False(t, killed)
	w.answered(wire.Pong{StepSeconds: 120}, at(1))
	w.look(at(2))
	require.True(t, killed)
	require.Contains(t, w.verdict(), "did not end")

	killed = false
	w = &watchdog{busy: func() bool { return true }, ping: func() bool { return true }, kill: func() { killed = true }}
	for second := range 300 { // it makes a step now and then
		w.look(at(float64(second)))
		w.answered(wire.Pong{Steps: uint64(second / 60)}, at(float64(second)))
	}
	require.False(t, killed)
	for second := 300; second < 420 && !killed; second++ { // and then none any more
		w.look(at(float64(second)))
		w.answered(wire.Pong{Steps: 4}, at(float64(second)))
	}
	require.True(t, killed)
	require.Contains(t, w.verdict(), "did nothing")
}

// A worker that is stopped is replaced, and what it had goes on.
func TestAHungWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	e := open(t, fakeConfig(t, "good"))
	first := reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("hangs", "hang"))
	require.NoError(t, err)
	process, err := os.FindProcess(first.WorkerPID)
	require.NoError(t, err)
	require.NoError(t, process.Signal(syscall.SIGSTOP))
	text, _, err := collect(s)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "back", text)
	require.Equal(t, 1, e.Status().Restarts)
}
