package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asksOf asks a question of its own sampling as an agent.
func (in *instance) asksOf(agent, text string, more map[string]any) (a asked) {
	in.t.Helper()
	r, err := in.try(in.as(agent, encode(in.t, question(text, more))))
	require.NoError(in.t, err)
	require.Equal(in.t, http.StatusOK, r.status, "%s", r.body)
	require.NoError(in.t, json.Unmarshal(r.body, &a))
	return a
}

// A prompt that comes again, however Samovar has ended since, is answered as the first
// time, from what was kept of it: greedily, or with the same seed.
func TestARepeatedPromptIsAnsweredTheSame(t *testing.T) {
	dir := t.TempDir()
	begin := func() *instance {
		in := start(t, setup{dataDir: dir})
		in.awaitReady()
		in.await("it keeps", func() bool { return in.kept().On })
		return in
	}
	in := begin()
	text := func(i int) string { return fmt.Sprint(i, ". ", strings.Repeat("What goes with tea? ", 60)) }
	ways := []map[string]any{{"max_tokens": 12, "temperature": 0}}
	for seed := range 5 {
		ways = append(ways, map[string]any{"max_tokens": 2, "temperature": 1.5, "seed": seed})
	}
	var first []asked
	for i, way := range ways {
		first = append(first, in.asksOf(fmt.Sprint("asker-", i), text(i), way))
		require.Greater(t, first[i].Usage.Completion, 1, "it can be opened")
		require.Greater(t, first[i].Usage.Prompt, block, "it is kept")
	}
	evict := func() {
		for i := range ways {
			in.evict(i)
		}
		in.await("all is written", func() bool { k := in.kept(); return k.Tails >= len(ways) && k.QueueBytes == 0 })
	}
	for _, end := range []struct {
		name string
		by   func()
	}{
		{"hot", func() {}},
		{"evicted", evict},
		{"kill -9", func() {
			evict()
			in.signal(syscall.SIGKILL)
			in.awaitExit()
			in = begin()
		}},
		{"SIGTERM", func() {
			in.signal(syscall.SIGTERM)
			require.Zero(t, in.awaitExit())
			in = begin()
		}},
	} {
		end.by()
		opened := in.kept().Opened
		for i, way := range ways {
			again := in.asksOf(fmt.Sprint("asker-", i), text(i), way)
			require.Equal(t, first[i].Choices, again.Choices, "%s: %v", end.name, way)
			require.Equal(t, first[i].Usage.Prompt, again.Usage.Details.Cached, "%s: %v", end.name, way)
		}
		in.await("all were opened: "+end.name, func() bool { return in.kept().Opened == opened+uint64(len(ways)) })
		require.Zero(t, in.kept().Disproved, end.name)
	}
}

// The worker is killed as soon as the first token is there, which it has not computed: the
// answer goes on as it did the first time.
func TestAnOpenedAnswerOutlivesItsWorker(t *testing.T) {
	if !hasProc() {
		t.Skip("it kills by number")
	}
	in := start(t, setup{})
	in.awaitReady()
	in.await("it keeps", func() bool { return in.kept().On })
	text := strings.Repeat("What goes with tea? ", 60)
	way := map[string]any{"max_tokens": 60}
	first := in.asksOf("asker-0", text, way)
	for round := range 3 {
		in.evict(0)
		in.await("it is written", func() bool { k := in.kept(); return k.Tails > 0 && k.QueueBytes == 0 })
		h := in.health()
		way["stream"] = true
		resp, err := http.DefaultClient.Do(in.as("asker-0", encode(t, question(text, way))))
		require.NoError(t, err)
		got := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var b openaiBody
			require.NoError(t, json.Unmarshal([]byte(data), &b))
			require.Nil(t, b.Error, data)
			if before := got; len(b.Choices) > 0 {
				if got += b.Choices[0].Delta.Content; before == "" && got != "" {
					require.NoError(t, syscall.Kill(h.WorkerPID, syscall.SIGKILL))
				}
			}
		}
		require.NoError(t, resp.Body.Close())
		require.Equal(t, first.text(), got, "round %d", round)
		in.await("another worker that keeps", func() bool { n := in.health(); return n.State == "ready" && n.WorkerPID != h.WorkerPID && in.kept().On })
		require.Zero(t, in.kept().Disproved)
	}
}
