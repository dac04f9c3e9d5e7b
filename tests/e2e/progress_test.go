package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runningRecord is a request as Samovar's own API has it.
type runningRecord struct {
	ID         string
	Outcome    string
	Phase      string
	PhaseSince time.Time `json:"phase_since"`
	Wait       *struct {
		Reason, Text string
		Ahead        *int
	}
	Prompt     int `json:"prompt_tokens"`
	Cached     int `json:"cached_tokens"`
	Prefilled  int `json:"prefilled_tokens"`
	Completion int `json:"completion_tokens"`
}

// record returns that of a request by the id that its client gave it.
func (in *instance) record(id string) runningRecord {
	in.t.Helper()
	var all struct{ Requests []runningRecord }
	in.get("/samovar/v1/requests?limit=1000").decode(&all)
	for _, r := range all.Requests {
		if r.ID == id {
			return r
		}
	}
	return runningRecord{}
}

// background asks in the background; leave ends it.
func (in *instance) background(id, text string, maxTokens int) (answered <-chan struct{}, leave func()) {
	in.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req := in.request("/v1/chat/completions", encode(in.t, question(text, map[string]any{"max_tokens": maxTokens}))).WithContext(ctx)
	req.Header.Set("X-Request-Id", id)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	leave = func() {
		cancel()
		<-done
	}
	in.t.Cleanup(leave)
	return done, leave
}

// TestRequestsSayWhatTheyAreAt has requests wait for a load, compute, answer, and wait for
// each other.
func TestRequestsSayWhatTheyAreAt(t *testing.T) {
	hold := filepath.Join(t.TempDir(), "hold")
	in := start(t, setup{args: []string{"--shape", "tiny"}, worker: "while [ -e " + hold + " ]; do sleep 0.02; done\nexec \"$WORKER\""})
	in.awaitReady()

	require.NoError(t, os.WriteFile(hold, nil, 0o600))
	require.Equal(t, http.StatusOK, in.post("/samovar/v1/engine/unload", "").status)
	loaded, _ := in.background("loads", "Hello", 3)
	var r runningRecord
	in.await("a load to be waited for", func() bool { r = in.record("loads"); return r.Wait != nil && r.Wait.Reason == "loading" })
	require.Equal(t, "waiting", r.Phase)
	require.Contains(t, r.Wait.Text, "being loaded")
	require.WithinDuration(t, time.Now(), r.PhaseSince, patience)
	out, code := in.control("ps")
	require.Zero(t, code)
	require.Contains(t, out, "loads")
	require.Contains(t, out, "being loaded")
	require.NoError(t, os.Remove(hold))
	<-loaded
	in.await("its end", func() bool { r = in.record("loads"); return r.Outcome == "ok" })
	require.Equal(t, runningRecord{ID: "loads", Outcome: "ok", Prompt: r.Prompt, Completion: 3}, r, "nothing else is left")

	// An answer grows, and a prompt beside it, which is thus computed in small chunks.
	in.background("answers", "Hello there", endless)
	var lengths []int
	in.await("an answer to grow", func() bool {
		r = in.record("answers")
		require.NotEqual(t, "ok", r.Outcome)
		if n := len(lengths); r.Phase == "decode" && (n == 0 || r.Completion > lengths[n-1]) {
			lengths = append(lengths, r.Completion)
		}
		return len(lengths) >= 3
	})
	require.Nil(t, r.Wait)
	require.Equal(t, r.Prompt, r.Cached+r.Prefilled)

	// The pool says where the cells of each sequence are.
	var pool struct {
		Opened time.Time `json:"opened_at"`
		Pool   struct {
			Cells     int
			Sequences []struct {
				Tokens int
				Cells  [][2]int
			}
		}
	}
	in.get("/samovar/v1/engine").decode(&pool)
	require.WithinDuration(t, time.Now(), pool.Opened, patience)
	require.NotEmpty(t, pool.Pool.Sequences)
	for _, s := range pool.Pool.Sequences {
		cells, end := 0, -1
		for _, run := range s.Cells {
			require.Greater(t, run[0], end)
			cells, end = cells+run[1], run[0]+run[1]
		}
		require.Equal(t, s.Tokens, cells)
		require.LessOrEqual(t, end, pool.Pool.Cells)
	}

	_, leave := in.background("reads", strings.Repeat("What goes with tea? ", 340), 1)
	var done []int
	in.await("a prompt to be computed", func() bool {
		r = in.record("reads")
		if n := len(done); r.Phase == "prefill" && (n == 0 || r.Prefilled > done[n-1]) {
			require.Less(t, r.Prefilled, r.Prompt)
			done = append(done, r.Prefilled)
		}
		return len(done) >= 3 || r.Outcome == "ok"
	})
	require.GreaterOrEqual(t, len(done), 3, "it was seen to grow: %v", done)
	leave()

	// More than there are sequences, or cells.
	var status struct {
		Model struct{ Sequences int }
	}
	in.get("/samovar/v1/engine").decode(&status)
	ids := []string{"answers"}
	for i := range status.Model.Sequences {
		id := "fills" + string(rune('a'+i))
		in.background(id, "Hello "+id, endless)
		ids = append(ids, id)
	}
	in.await("one to wait", func() bool {
		for _, id := range ids {
			if r = in.record(id); r.Wait != nil && (r.Wait.Reason == "sequences" || r.Wait.Reason == "cells") {
				return true
			}
		}
		return false
	})
	require.Equal(t, "waiting", r.Phase)
	require.Regexp(t, `^(All \d+ places are taken|Waits for room for [\d,]+ tokens; [\d,]+ of [\d,]+ are in use)`, r.Wait.Text)
	require.Zero(t, *r.Wait.Ahead, "all the others run")
	require.Positive(t, r.Prompt)
}
