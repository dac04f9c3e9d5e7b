package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// generate asks beside the test; what comes of it can be waited for.
type generated struct {
	stream infer.Stream
	err    error
}

func generate(ctx context.Context, e *Engine, r infer.Request) <-chan generated {
	done := make(chan generated, 1)
	go func() {
		s, err := e.Generate(ctx, r)
		done <- generated{s, err}
	}()
	return done
}

// restarting returns an engine whose first worker has died and whose second one
// loads until it is let go on.
func restarting(t *testing.T, accepted ...string) (e *Engine, streams []infer.Stream, letGo func()) {
	cfg := fakeConfig(t, "slow")
	e = open(t, cfg)
	reach(t, e, infer.StateReady)
	for _, id := range accepted {
		s, err := e.Generate(context.Background(), ask(id, "survive"))
		require.NoError(t, err)
		streams = append(streams, s)
	}
	process, err := os.FindProcess(e.Status().WorkerPID)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Eventually(t, func() bool { s := e.Status(); return s.Restarts == 1 && s.State == infer.StateStarting }, 20*time.Second, time.Millisecond)
	return e, streams, func() { require.NoError(t, os.WriteFile(cfg.Model.Path+".go", nil, 0o600)) }
}

func TestTheQueueSurvivesARestart(t *testing.T) {
	e, streams, letGo := restarting(t, "0", "1", "2")
	var late []<-chan generated
	for i := 3; i < 6; i++ {
		late = append(late, generate(context.Background(), e, ask(fmt.Sprint(i), "survive")))
		require.Eventually(t, func() bool { return inFlight(e) == i+1 }, 5*time.Second, time.Millisecond)
	}
	status := e.Status()
	require.Equal(t, 6, status.Queued)
	require.GreaterOrEqual(t, status.EstimatedWait, time.Second, "nobody begins before there is a worker")
	letGo()
	for _, l := range late {
		g := <-l
		require.NoError(t, g.err)
		require.Equal(t, 4, g.stream.Accepted().PromptTokens, "from the second worker")
		streams = append(streams, g.stream)
	}
	for i, s := range streams {
		text, end, err := collect(s)
		require.ErrorIs(t, err, io.EOF)
		require.NotNil(t, end)
		require.Equal(t, fmt.Sprint(i+1), text, "in order of arrival")
		if i < 3 {
			require.Equal(t, 3, s.Accepted().PromptTokens, "what was said first holds")
		}
		s.Close()
	}
	require.Zero(t, inFlight(e))
}

func TestARequestThatKillsTwiceIsNotTriedAgain(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("poison", "kill"))
	if err == nil { // it was accepted before the end
		_, _, err = collect(s)
	}
	require.Equal(t, infer.CodePoison, infer.CodeOf(err))
	require.ErrorContains(t, err, "died twice")
	require.Eventually(t, func() bool { s := e.Status(); return s.State == infer.StateReady && s.Restarts == 2 }, 20*time.Second, time.Millisecond)
	s, err = e.Generate(context.Background(), ask("good", "hello"))
	require.NoError(t, err)
	text, _, _ := collect(s)
	require.Equal(t, "hello", text)
}

// A first token that came from what is kept says nothing of whether a request kills.
func TestAnOpenedRequestThatKillsIsNotTriedAgain(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("poison", "open and kill"))
	require.NoError(t, err)
	text, _, err := collect(s)
	require.Equal(t, "so ", text)
	require.Equal(t, infer.CodePoison, infer.CodeOf(err))
	require.Eventually(t, func() bool { s := e.Status(); return s.State == infer.StateReady && s.Restarts == 2 }, 20*time.Second, time.Millisecond)
}

func TestPatienceIsKeptWhileThereIsNoWorker(t *testing.T) {
	e, streams, letGo := restarting(t, "closed")
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := generate(ctx, e, ask("cancelled", "survive"))
	hurried := ask("hurried", "survive")
	hurried.Deadline = time.Now().Add(1500 * time.Millisecond)
	late := generate(context.Background(), e, hurried)
	require.Eventually(t, func() bool { return inFlight(e) == 3 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, (<-cancelled).err, context.Canceled)
	streams[0].Close()
	require.Equal(t, infer.CodeDeadline, infer.CodeOf((<-late).err))
	require.Zero(t, inFlight(e))
	letGo()
	reach(t, e, infer.StateReady)
}

func TestWhatWaitsIsToldOfTheEnd(t *testing.T) {
	t.Run("stopped", func(t *testing.T) {
		cfg := fakeConfig(t, "slow")
		e := New(cfg)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Serve(ctx) }()
		reach(t, e, infer.StateReady)
		s, err := e.Generate(context.Background(), ask("waits", "survive"))
		require.NoError(t, err)
		cancel()
		require.NoError(t, <-done)
		_, _, err = collect(s)
		require.Equal(t, infer.CodeStopped, infer.CodeOf(err))
	})
	t.Run("failed", func(t *testing.T) {
		e := New(fakeConfig(t, "good"))
		e.roster.closed = nil // as between two workers
		waits := generate(context.Background(), served(e), ask("waits", "survive"))
		require.Eventually(t, func() bool { return inFlight(e) == 1 }, 5*time.Second, time.Millisecond)
		e.setState(infer.StateFailed, "It died too often.", "")
		err := (<-waits).err
		require.Equal(t, infer.CodeFailed, infer.CodeOf(err))
		require.ErrorContains(t, err, "too often")
	})
}

// A worker whose pipe is closed, or that takes nothing any more while the pipe to it fills
// up, is replaced; nobody's request is lost.
func TestAWorkerThatCannotBeTalkedToIsReplaced(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"mute", "full"} {
		t.Run(part, func(t *testing.T) {
			e := open(t, fakeConfig(t, part))
			if part == "full" {
				reach(t, e, infer.StateReady)
			} else {
				require.Eventually(t, func() bool { s := e.Status(); return s.State == infer.StateReady && s.Restarts > 0 }, 20*time.Second, time.Millisecond)
			}
			say := strings.Repeat("word ", 800) // 4 KB, 40 times; a pipe has room for 64
			var all []<-chan generated
			for i := range 40 {
				all = append(all, generate(context.Background(), e, ask(fmt.Sprint(i), say)))
			}
			for _, one := range all {
				g := <-one
				require.NoError(t, g.err)
				text, _, err := collect(g.stream)
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, say, text)
				g.stream.Close()
			}
			require.Equal(t, 1, e.Status().Restarts)
		})
	}
}

// Patience goes to the worker as a span of time: clocks are set, machines sleep.
func TestPatienceIsNoTimeOfDay(t *testing.T) {
	now := time.Now()
	r := ask("x", "hello")
	r.Deadline = now.Add(3 * time.Second)
	for patience, at := range map[time.Duration]time.Time{3 * time.Second: now, 1: now.Add(time.Minute)} {
		frame, err := submit(r, nil, at)
		require.NoError(t, err)
		f, err := wire.NewReader(bytes.NewReader(frame)).Read()
		require.NoError(t, err)
		var m wire.Submit
		require.NoError(t, f.Decode(&m))
		require.Equal(t, patience, m.Patience)
		require.Zero(t, m.Request.Deadline)
	}
	frame, err := submit(ask("x", "hello"), nil, now)
	require.NoError(t, err)
	require.NotContains(t, string(frame), "patience")
}

// served makes an engine believe that it has served.
func served(e *Engine) *Engine {
	e.status.LoadTime = time.Second
	return e
}

// The same request several times over kills no more workers than it does once.
func TestAPoisonIsTriedOnceHoweverOftenItIsAskedFor(t *testing.T) {
	t.Parallel()
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	var all []<-chan generated
	for i := range 6 {
		all = append(all, generate(context.Background(), e, ask(fmt.Sprint("poison", i), "kill")))
	}
	for _, one := range all {
		g := <-one
		if g.err == nil {
			_, _, g.err = collect(g.stream)
		}
		require.Equal(t, infer.CodePoison, infer.CodeOf(g.err))
	}
	require.LessOrEqual(t, e.Status().Restarts, suspectDeaths+aloneDeaths)
	require.NotEqual(t, infer.StateFailed, e.Status().State)
}

// What only was there when another killed the worker goes on.
func TestBystandersOutliveAPoison(t *testing.T) {
	t.Parallel()
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	var bystanders []<-chan generated
	for i := range 3 {
		bystanders = append(bystanders, generate(context.Background(), e, ask(fmt.Sprint("good", i), "kill when there are two")))
	}
	poison := generate(context.Background(), e, ask("poison", "kill"))
	for _, b := range bystanders {
		g := <-b
		require.NoError(t, g.err)
		text, end, err := collect(g.stream)
		require.ErrorIs(t, err, io.EOF)
		require.NotNil(t, end)
		require.Equal(t, "alive", text)
		g.stream.Close()
	}
	g := <-poison
	if g.err == nil {
		_, _, g.err = collect(g.stream)
	}
	require.ErrorContains(t, g.err, "died twice")
	reach(t, e, infer.StateReady)
	restarts := e.Status().Restarts
	_, err := e.Generate(context.Background(), ask("again", "kill"))
	require.Equal(t, infer.CodePoison, infer.CodeOf(err), "it is not tried again")
	require.Equal(t, restarts, e.Status().Restarts)
	require.Zero(t, inFlight(e))
}
