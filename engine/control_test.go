package engine

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

func stop(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, e.Stop(ctx))
}

func TestStopAndStart(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	first := reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("waits", "wait"))
	require.NoError(t, err)
	stop(t, e)
	_, _, err = collect(s)
	require.Equal(t, infer.CodeStopped, infer.CodeOf(err), "what runs has a moment, no more")
	st := e.Status()
	require.Equal(t, infer.StateStopped, st.State)
	require.Zero(t, st.WorkerPID)
	require.NotEmpty(t, st.Hint)
	_, err = e.Generate(context.Background(), ask("late", "hello"))
	require.Equal(t, infer.CodeStopped, infer.CodeOf(err))
	stop(t, e)

	e.Start("The test wants it.")
	require.NotEqual(t, infer.StateStopped, e.Status().State, "it says so at once")
	second := reach(t, e, infer.StateReady)
	require.NotEqual(t, first.WorkerPID, second.WorkerPID)
	require.Zero(t, second.Restarts, "it was wanted")
	e.Start("The test wants it.")
	s, err = e.Generate(context.Background(), ask("again", "hello"))
	require.NoError(t, err)
	text, _, _ := collect(s)
	require.Equal(t, "hello", text)
}

func TestStoppingLetsWhatRunsEnd(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("short", "one two three"))
	require.NoError(t, err)
	stop(t, e)
	text, _, err := collect(s)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "one two three", text)
}

func TestAFailedEngineCanBeStarted(t *testing.T) {
	e := open(t, fakeConfig(t, "badmodel"))
	reach(t, e, infer.StateFailed)
	stop(t, e)
	for _, order := range []func(){func() { e.Start("The test wants it.") }, func() { e.Restart("again") }} {
		order()
		reach(t, e, infer.StateFailed)
	}
}

func TestRestartsDropNothing(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	first := reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("waits", "survive"))
	require.NoError(t, err)
	e.Apply(Settings{KVType: "f16"})
	require.Equal(t, first.WorkerPID, e.Status().WorkerPID, "nothing has changed")
	e.Apply(Settings{KVType: "f16", ContextTokens: 99})
	text, _, err := collect(s)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "1", text)
	st := reach(t, e, infer.StateReady)
	require.Zero(t, st.Restarts)
	require.NotEqual(t, first.WorkerPID, st.WorkerPID)
}

// However calls meet, the last one counts.
func TestManyOrdersAtOnce(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			switch i % 3 {
			case 0:
				e.Start("The test wants it.")
			case 1:
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_ = e.Stop(ctx) // somebody may start it meanwhile
			case 2:
				e.Restart("for no reason")
			}
		})
	}
	all.Wait()
	e.Start("The test wants it.")
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("works", "hello"))
	require.NoError(t, err)
	text, _, _ := collect(s)
	require.Equal(t, "hello", text)
	stop(t, e)
	require.Equal(t, infer.StateStopped, e.Status().State)
}
