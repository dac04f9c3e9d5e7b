package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestDownloads(t *testing.T) {
	var d Decider
	pull := func(name string, s infer.PullState) infer.Pull {
		return infer.Pull{Name: name, Model: name + ":Q4_K_M", State: s, Total: 3 << 30, Started: noon, Error: "The disk is full.", Hint: "Make room."}
	}
	for _, s := range []infer.PullState{infer.PullStarting, infer.PullRunning, infer.PullVerifying, infer.PullPaused, infer.PullRunning, infer.PullCancelled} {
		_, ok := d.Pull(pull("a", s), noon)
		require.False(t, ok, s)
	}
	n, ok := d.Pull(pull("a", infer.PullDone), noon)
	require.True(t, ok)
	require.Equal(t, Note{Downloaded, "Model downloaded", "a:Q4_K_M (3.0 GiB) is ready to use."}, n)
	_, ok = d.Pull(pull("a", infer.PullDone), noon)
	require.False(t, ok, "once")
	n, ok = d.Pull(pull("b", infer.PullFailed), noon)
	require.True(t, ok)
	require.Equal(t, Note{DownloadFailed, "Download failed", "b:Q4_K_M: The disk is full. Make room."}, n)
	again := pull("b", infer.PullFailed)
	again.Started = noon.Add(time.Minute)
	_, ok = d.Pull(again, noon.Add(time.Minute))
	require.False(t, ok, "the same, and so soon")
	_, ok = d.Pull(pull("c", infer.PullDone), noon)
	require.True(t, ok, "each download has its own")
	require.Empty(t, d.pulls)
}

func TestEnginesThatFail(t *testing.T) {
	var d Decider
	fails := infer.Transition{Model: "m", From: infer.StateStarting, To: infer.StateFailed, Reason: "It is no model.", Hint: "Take another."}
	n, ok := d.Transition(fails, noon)
	require.True(t, ok)
	require.Equal(t, Note{EngineFailed, "Engine failed", "m: It is no model. Take another."}, n)
	_, ok = d.Transition(fails, noon.Add(9*time.Minute))
	require.False(t, ok)
	_, ok = d.Transition(fails, noon.Add(quietFor))
	require.True(t, ok)
	for _, s := range infer.States {
		if s != infer.StateFailed {
			_, ok = d.Transition(infer.Transition{Model: "o", From: infer.StateReady, To: s}, noon)
			require.False(t, ok, s)
		}
	}
	_, ok = d.Transition(infer.Transition{Model: "o", From: infer.StateFailed, To: infer.StateFailed}, noon)
	require.False(t, ok)
}

func TestEnginesThatKeepFailing(t *testing.T) {
	var d Decider
	at := func(minutes, restarts int, s infer.State) []Note {
		return d.Overview(infer.Overview{Models: []infer.Status{{Model: infer.Model{ID: "m"}, Restarts: restarts, State: s}}}, noon.Add(time.Duration(minutes)*time.Minute))
	}
	require.Empty(t, at(0, 7, infer.StateReady), "what was before is not known")
	require.Empty(t, at(1, 8, infer.StateReady))
	require.Empty(t, at(2, 9, infer.StateReady))
	require.Empty(t, at(12, 10, infer.StateReady), "that is long ago")
	require.Len(t, at(13, 12, infer.StateStarting), 1)
	require.Empty(t, at(14, 15, infer.StateReady), "it was said")
	require.Len(t, at(80, 18, infer.StateReady), 1)
	require.Empty(t, at(200, 30, infer.StateFailed), "that it has failed is another note")
}

func TestNothingIsSaved(t *testing.T) {
	var d Decider
	at := func(hours int, off ...string) []Note {
		var o infer.Overview
		for i, why := range off {
			o.Models = append(o.Models, infer.Status{Model: infer.Model{ID: fmt.Sprint(i)}, Kept: infer.Kept{On: true, Off: why}})
		}
		return d.Overview(o, noon.Add(time.Duration(hours)*time.Hour))
	}
	const full = "The disk is full: 1.0 GiB are left to others. Make room, or move the data folder."
	require.Empty(t, at(0, "", ""))
	require.Equal(t, []Note{{NotSaving, "Nothing is saved now", full}}, at(0, full, full), "one disk, one note")
	require.Empty(t, at(1, full, full))
	require.Empty(t, at(2, "", ""))
	require.Empty(t, at(3, full, ""), "not so soon again")
	require.Empty(t, at(3, "", ""))
	require.Len(t, at(7, full, ""), 1)
	require.Empty(t, d.Overview(infer.Overview{Models: []infer.Status{{Model: infer.Model{ID: "off"}, Kept: infer.Kept{Off: "keep_quota is 0."}}}}, noon), "somebody wanted that")
}

func TestAFloodIsBounded(t *testing.T) {
	var d Decider
	said := 0
	for i := range 100 {
		if _, ok := d.Transition(infer.Transition{Model: fmt.Sprint(i), To: infer.StateFailed}, noon.Add(time.Duration(i)*time.Second)); ok {
			said++
		}
	}
	require.Equal(t, mostNotes, said)
	_, ok := d.Transition(infer.Transition{Model: "m", To: infer.StateFailed}, noon.Add(notesFor+10*time.Second))
	require.True(t, ok)
	_, ok = d.Transition(infer.Transition{Model: "x", To: infer.StateFailed}, noon.Add(48*time.Hour))
	require.True(t, ok)
	require.Len(t, d.said, 1, "it is forgotten in the end")
}

func TestBodiesAreOneBoundedLine(t *testing.T) {
	require.Equal(t, "a b � c", joined("a\n\tb", "", "\xff", " c "))
	require.Len(t, []rune(joined(strings.Repeat("ä", 999))), mostBody+1)
}
