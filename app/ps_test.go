package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/latency"
)

func TestPSListsWhatRunsAndWaits(t *testing.T) {
	now := time.Now()
	overview := infer.Overview{Models: []infer.Status{{State: infer.StateReady, Since: now, Model: infer.Model{ID: "guide"}}}}
	overview.Status = overview.Models[0]
	record := func(id, agent string) latency.Record {
		return latency.Record{Start: latency.Start{ID: id, Agent: agent, Model: "guide"}, Outcome: latency.Running, PhaseSince: now.Add(-12 * time.Second)}
	}
	waits, computed, ended := record("req_2", ""), record("req_1", "alice"), record("req_0", "bob")
	waits.Phase, waits.Wait = infer.PhaseWaiting, &infer.Wait{Reason: infer.WaitSequences, Text: "All 8 places are taken; it is the next.", EstimateMS: 4200}
	computed.Phase, computed.PromptTokens, computed.CachedTokens, computed.PrefilledTokens = infer.PhasePrefill, 3000, 256, 1024
	ended.Outcome = latency.OK
	requests := []latency.Record{waits, computed, ended}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v any = overview
		if r.URL.Path == "/samovar/v1/requests" {
			v = map[string]any{"requests": requests}
		}
		_ = json.NewEncoder(w).Encode(v)
	}))
	defer srv.Close()
	run := func(asJSON bool) string {
		var out bytes.Buffer
		require.NoError(t, ps(t.Context(), Process{Stdout: &out}, running{base: srv.URL}, asJSON))
		return out.String()
	}

	lines := strings.Split(strings.TrimSpace(run(false)), "\n")
	require.Len(t, lines, 6, "what has ended is left out: %q", lines)
	require.Contains(t, lines[1], "guide")
	require.Equal(t, []string{"REQUEST", "AGENT", "MODEL", "IS", "FOR", "PROMPT", "ANSWER"}, strings.Fields(lines[3]))
	require.Equal(t, strings.Fields("req_1 alice guide prefill 12s 1,280 of 3,000 tokens 0"), strings.Fields(lines[4]), "the oldest first")
	require.Equal(t, strings.Fields("req_2 – guide waiting 12s – 0 All 8 places are taken; it is the next. About 4s more."), strings.Fields(lines[5]))

	var s psView
	require.NoError(t, json.Unmarshal([]byte(run(true)), &s))
	require.Equal(t, infer.StateReady, s.State)
	require.Len(t, s.Requests, 2)
	require.Equal(t, "alice", s.Requests[0].Agent)

	requests = []latency.Record{ended}
	require.NotContains(t, run(false), "REQUEST", "there are none")
	require.Contains(t, run(true), `"requests":[]`)
}
