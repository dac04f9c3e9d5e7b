package latency

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// only is the record of the one request that runs.
func only(t *testing.T, tr *Tracker) Record {
	t.Helper()
	all, total := tr.Running(9)
	require.Equal(t, 1, total)
	require.Equal(t, all[0], tr.Records(9)[0], "the same wherever it is seen")
	return all[0]
}

func TestWhatARequestIsAt(t *testing.T) {
	tr, _ := track()
	feed, stop := tr.Watch()
	defer stop()
	s := start("public", t0)
	s.Key = "unique"
	r := tr.Begin(s)
	began := <-feed
	require.Equal(t, infer.PhaseWaiting, began.Phase)
	require.Equal(t, t0, began.PhaseSince)
	require.Equal(t, infer.WaitQueue, began.Wait.Reason)
	require.NotEmpty(t, began.Wait.Text)
	require.Equal(t, began, only(t, tr))

	ahead := 2
	wait := &infer.Wait{Reason: infer.WaitCells, Text: "Waits.", Ahead: &ahead, EstimateMS: 1200}
	tr.Learn([]infer.Progress{{ID: "public"}, {ID: "unique", Phase: infer.PhaseWaiting, Since: after(time.Second), Wait: wait, PromptTokens: 100}})
	got := only(t, tr)
	require.Equal(t, wait, got.Wait)
	require.Equal(t, after(time.Second), got.PhaseSince)
	require.Equal(t, 100, got.PromptTokens)
	require.Zero(t, got.CachedTokens)

	tr.Learn([]infer.Progress{{ID: "unique", Agent: "ann", Phase: infer.PhasePrefill, Since: after(2 * time.Second), PromptTokens: 100, CachedTokens: 40, PrefilledTokens: 30}})
	got = only(t, tr)
	require.Equal(t, infer.PhasePrefill, got.Phase)
	require.Nil(t, got.Wait)
	require.Equal(t, []int{100, 40, 30, 0}, []int{got.PromptTokens, got.CachedTokens, got.PrefilledTokens, got.CompletionTokens})
	require.Equal(t, "ann", got.Agent, "as its conversation tells")

	r.Tokens(1, after(3*time.Second)) // the engine has not told that yet
	first := <-feed
	require.Equal(t, infer.PhaseDecode, first.Phase)
	require.Equal(t, after(3*time.Second), first.PhaseSince)
	require.Equal(t, 1, first.CompletionTokens)
	require.Equal(t, 40, first.CachedTokens)

	tr.Learn([]infer.Progress{{ID: "unique", Phase: infer.PhaseDecode, Since: after(2900 * time.Millisecond), PromptTokens: 100, CachedTokens: 40, PrefilledTokens: 60, CompletionTokens: 5}})
	require.Equal(t, 5, only(t, tr).CompletionTokens, "the engine is ahead of the client")
	tr.Learn([]infer.Progress{{ID: "unique", Phase: infer.PhaseWaiting, Since: after(4 * time.Second), Wait: &infer.Wait{Reason: infer.WaitPaused}}})
	require.Equal(t, infer.PhaseWaiting, only(t, tr).Phase, "it was paused after that")
	tr.Learn(nil)
	require.Equal(t, infer.PhaseDecode, only(t, tr).Phase, "the engine is done with it, the client is not")

	r.Finish(OK, 200, "", &infer.End{Reason: infer.FinishStop, Usage: infer.Usage{PromptTokens: 100, CachedTokens: 40, CompletionTokens: 7}}, after(5*time.Second))
	ended := <-feed
	require.Equal(t, ended, tr.Records(1)[0])
	raw, err := json.Marshal(ended)
	require.NoError(t, err)
	for _, field := range []string{"phase", "wait", "prefilled"} {
		require.NotContains(t, string(raw), field, "gone with the end")
	}
	_, total := tr.Running(9)
	require.Zero(t, total)
}

// What ends without an answer has no more tokens than it had before.
func TestWhatWasLearntIsForgottenWithTheRequest(t *testing.T) {
	tr, s := track()
	r := tr.Begin(start("a", t0))
	tr.Learn([]infer.Progress{{ID: "a", Agent: "ann", Phase: infer.PhasePrefill, PromptTokens: 100, CachedTokens: 40, PrefilledTokens: 60, CompletionTokens: 3}})
	r.Finish(ClientGone, 499, "", nil, after(time.Second))
	require.Equal(t, []Record{{Start: start("a", t0), Outcome: ClientGone, Status: 499, Total: 1000}}, tr.Records(9))
	require.Equal(t, tr.Records(9), s.ended)
}

func TestTheOldestThatRunComeFirst(t *testing.T) {
	tr, _ := track()
	for i := range 9 {
		tr.Begin(start(fmt.Sprint(i), after(time.Duration(9-i)*time.Second)))
	}
	records, total := tr.Running(3)
	require.Equal(t, 9, total)
	require.Len(t, records, 3)
	require.Equal(t, "8", records[0].ID)
	require.Equal(t, "6", records[2].ID)
}

// Before there was any request there is a list, without any.
func TestNoRequestsAreNone(t *testing.T) {
	tr, _ := track()
	require.NotNil(t, tr.Records(9))
	require.Empty(t, tr.Records(9))
}
