package engine

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// progressOf returns what an engine says of one request; its zero value if nothing.
func progressOf(all []infer.Progress, id string) infer.Progress {
	for _, p := range all {
		if p.ID == id {
			return p
		}
	}
	return infer.Progress{}
}

// awaitWait waits until a request waits for a reason.
func awaitWait(t *testing.T, e *Engine, id string, why infer.WaitReason) infer.Progress {
	t.Helper()
	var p infer.Progress
	require.Eventually(t, func() bool {
		p = progressOf(e.Progress(), id)
		return p.Wait != nil && p.Wait.Reason == why
	}, 20*time.Second, time.Millisecond, "%s should wait for %s", id, why)
	require.Equal(t, infer.PhaseWaiting, p.Phase)
	require.NotEmpty(t, p.Wait.Text)
	return p
}

// tell has the fake worker tell a pulse, through a request of its own.
func tell(t *testing.T, e *Engine, id string, p wire.Pulse) {
	t.Helper()
	body, err := json.Marshal(p)
	require.NoError(t, err)
	s, err := e.Generate(context.Background(), ask(id, "tell "+string(body)))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	// The pulse comes right behind what Generate waits for.
	require.Eventually(t, func() bool { return e.Status().Active == p.Active }, 5*time.Second, time.Millisecond)
}

func TestProgressIsWhatTheWorkerTells(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	require.Empty(t, e.Progress())
	for _, id := range []string{"fills", "cells", "behind", "follows", "paused", "decodes"} {
		s, err := e.Generate(context.Background(), ask(id, "wait"))
		require.NoError(t, err)
		t.Cleanup(s.Close)
	}
	quiet := progressOf(e.Progress(), "cells")
	require.Equal(t, infer.WaitQueue, quiet.Wait.Reason, "the worker has not told yet")
	require.Equal(t, 1, *quiet.Wait.Ahead)
	require.Equal(t, 3, quiet.PromptTokens, "as it was accepted")

	since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	tell(t, e, "teller", wire.Pulse{
		Active: 3, Queued: 3,
		Pool: infer.Pool{Sequences: []infer.PoolSequence{{Agent: "idle", Tokens: 1500}, {Agent: "alice", Active: true, Tokens: 900}, {Active: true, Tokens: 2}}},
		Requests: []wire.Doing{
			{ID: "fills", Agent: "alice", Phase: infer.PhasePrefill, Since: since.UnixMilli(), Prompt: 3000, Cached: 256, Prefilled: 1024},
			{ID: "follows", Phase: infer.PhaseWaiting, Reason: infer.WaitFollows, Follows: "fills", Common: 1200, Prompt: 1300},
			{ID: "decodes", Phase: infer.PhaseDecode, Since: since.UnixMilli(), Prompt: 9, Prefilled: 9, Completed: 4},
			{ID: "cells", Phase: infer.PhaseWaiting, Reason: infer.WaitCells, Cells: 1200, Room: 300, Prompt: 40},
			{ID: "paused", Phase: infer.PhaseWaiting, Since: since.UnixMilli(), Reason: infer.WaitPaused, Prompt: 9, Prefilled: 9, Completed: 7},
			{ID: "behind", Phase: infer.PhaseWaiting, Reason: infer.WaitQueue, Prompt: 41},
			{ID: "of another life", Phase: infer.PhaseDecode},
		},
	})
	all := e.Progress()
	require.Len(t, all, 7)
	require.Equal(t, infer.Progress{ID: "fills", Agent: "alice", Phase: infer.PhasePrefill, Since: since,
		PromptTokens: 3000, CachedTokens: 256, PrefilledTokens: 1024}, all[0])
	require.Equal(t, 4, progressOf(all, "decodes").CompletionTokens)

	cells := progressOf(all, "cells")
	require.Equal(t, "Waits for room for 1,200 tokens; 1,300 of 1,600 are in use, the most by agent alice (900).", cells.Wait.Text)
	require.Zero(t, *cells.Wait.Ahead)
	require.WithinDuration(t, time.Now(), cells.Since, time.Minute/2, "since it came")
	follows := progressOf(all, "follows")
	require.Equal(t, "Waits for agent alice, which computes the same first 1,200 tokens.", follows.Wait.Text)
	require.Nil(t, follows.Wait.Ahead)
	paused := progressOf(all, "paused")
	require.Equal(t, "Made room for an older request; 1 request is ahead.", paused.Wait.Text)
	require.Equal(t, since, paused.Since)
	require.Equal(t, 7, paused.CompletionTokens)
	behind := progressOf(all, "behind")
	require.Equal(t, infer.WaitQueue, behind.Wait.Reason)
	require.Equal(t, "Waits for its turn; 2 requests are ahead.", behind.Wait.Text)
	require.Equal(t, infer.WaitQueue, progressOf(all, "teller").Wait.Reason)
}

func TestProgressNamesTheSequences(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("late", "wait"))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	tell(t, e, "teller", wire.Pulse{Active: 1, Requests: []wire.Doing{{ID: "late", Phase: infer.PhaseWaiting, Reason: infer.WaitSequences, Prompt: 3}}})
	w := progressOf(e.Progress(), "late").Wait
	require.Equal(t, infer.WaitSequences, w.Reason)
	require.Equal(t, "All 16 places are taken; it is the next.", w.Text)
}

// What was delivered is known before the worker tells of it, and is not lost with it.
func TestProgressKnowsWhatWasDelivered(t *testing.T) {
	e := open(t, fakeConfig(t, "slow"))
	reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("a", "speak"))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.Eventually(t, func() bool { return progressOf(e.Progress(), "a").Phase == infer.PhaseDecode }, 5*time.Second, time.Millisecond)
	p := progressOf(e.Progress(), "a")
	require.Equal(t, 1, p.CompletionTokens)
	require.Nil(t, p.Wait)

	began := time.Now()
	e.Restart("Somebody asked for it.")
	p = awaitWait(t, e, "a", infer.WaitRestart)
	require.Contains(t, p.Wait.Text, "Somebody asked for it.")
	require.False(t, p.Since.Before(began), "since the worker left")
	require.Equal(t, 1, p.CompletionTokens)
	require.Equal(t, 3, p.PromptTokens)
}

func TestProgressOfThoseThatWaitForAWorker(t *testing.T) {
	e, streams, letGo := restarting(t, "0", "1")
	p := awaitWait(t, e, "1", infer.WaitRestart)
	require.Contains(t, p.Wait.Text, "died")
	require.Equal(t, 1, *p.Wait.Ahead)
	letGo()
	for _, s := range streams {
		_, end, _ := collect(s)
		require.NotNil(t, end)
	}
	require.Empty(t, e.Progress())
}

func TestProgressWhileAModelIsLoaded(t *testing.T) {
	cfg := fakeConfig(t, "slow")
	room := make(chan struct{}, 1)
	room <- struct{}{}
	cfg.Room = func(ctx context.Context, _ Need) (int64, error) {
		select {
		case <-room:
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	cfg.Leave = func() {}
	e := open(t, cfg)
	reach(t, e, infer.StateReady)
	require.NoError(t, e.Unload(context.Background(), "Somebody asked for it."))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := generate(ctx, e, ask("a", "wait"))
	awaitWait(t, e, "a", infer.WaitLoading)
	e.Start("Somebody asked for it.")
	awaitWait(t, e, "a", infer.WaitRoom)
	e.says("It waits for the memory of big.")
	require.Contains(t, awaitWait(t, e, "a", infer.WaitRoom).Wait.Text, "the memory of big.")
	room <- struct{}{}
	p := awaitWait(t, e, "a", infer.WaitLoading)
	require.Equal(t, "Its model is being loaded.", p.Wait.Text)
	require.Zero(t, *p.Wait.Ahead)
	cancel()
	require.Error(t, (<-got).err)
}

func TestAFleetsProgressIsThatOfAllModels(t *testing.T) {
	before := time.Now()
	f := openFleet(t, fleetConfig(t, "good", "good"))
	reaches(t, f, "m0", infer.StateReady)
	for _, model := range []string{"m0", "m1"} {
		s, err := f.Generate(t.Context(), askModel(model, "of "+model, "wait"))
		require.NoError(t, err)
		t.Cleanup(s.Close)
	}
	require.Len(t, f.Progress(), 2)
	require.WithinRange(t, f.Overview().Opened, before, time.Now())
}
