package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// agentSays is an agent as the API tells of it.
type agentSays struct {
	infer.Agent
	HitRate float64 `json:"hit_rate"`
}

// call asks the API, requires a status and decodes the answer.
func (in *instance) call(method, path, body string, status int, to any) {
	in.t.Helper()
	req := in.request(path, body)
	req.Method = method
	r := in.do(req)
	require.Equal(in.t, status, r.status, "%s %s: %s", method, path, r.body)
	if to != nil {
		r.decode(to)
	}
}

func (in *instance) agentByAPI(id string) (a agentSays) {
	in.t.Helper()
	in.call("GET", "/v1/agents/"+id, "", http.StatusOK, &a)
	return a
}

// generates has an agent answer by its own route.
func (in *instance) generates(id string, messages ...map[string]any) (a asked) {
	in.t.Helper()
	in.call("POST", "/v1/agents/"+id+"/generate", encode(in.t, map[string]any{"messages": messages, "temperature": 0, "max_tokens": 12}), http.StatusOK, &a)
	return a
}

func TestAgentsByAPI(t *testing.T) {
	in := guideInstance(t)
	in.await("it keeps", func() bool { return in.kept().On })
	says := func(role, text string) map[string]any { return map[string]any{"role": role, "content": text} }
	system := says("system", strings.Repeat("You are kind to all who ask for tea. ", 40))

	// One is made with its beginning computed, the other by coming.
	var made agentSays
	in.call("POST", "/v1/agents", encode(t, map[string]any{"id": "ann", "messages": []any{system, says("user", "What is tea?")}}), http.StatusCreated, &made)
	require.Greater(t, made.Tokens, 400)
	require.Equal(t, infer.TierHot, made.Tier)
	first := in.generates("ann", system, says("user", "What is tea?"))
	require.Equal(t, first.Usage.Prompt, first.Usage.Details.Cached, "it was computed when the agent was made")
	second := in.asksAs("bob", strings.Repeat("What goes with tea? ", 60))
	require.Less(t, second.Usage.Details.Cached, 8, "but for what all prompts begin with")

	var list struct{ Data []agentSays }
	in.call("GET", "/v1/agents", "", http.StatusOK, &list)
	require.Len(t, list.Data, 2)
	require.Equal(t, "bob", list.Data[0].ID, "the last used first")

	// The conversation goes on; out of the pool it comes back from disk.
	answer := first.Choices[0].Message.Content
	in.call("DELETE", "/v1/agents/ann?evict_only=true", "", http.StatusOK, &made)
	require.Equal(t, infer.TierWarm, made.Tier)
	require.Equal(t, made.Tokens, made.WarmTokens)
	require.Less(t, made.HotTokens, 8)
	next := in.generates("ann", system, says("user", "What is tea?"), says("assistant", answer), says("user", "And coffee?"))
	require.GreaterOrEqual(t, next.Usage.Details.Cached, first.Usage.Prompt, "all that there was, and what of the answer came back as it was")

	// Pinned, it is on disk to its end.
	in.call("POST", "/v1/agents/ann/pin", "", http.StatusOK, &made)
	require.True(t, made.Pinned)
	require.Equal(t, made.Tokens, made.WarmTokens)
	require.Equal(t, made.Bytes, in.kept().PinnedBytes)

	// A fork shares all of it, and is another one from there.
	var fork agentSays
	in.call("POST", "/v1/agents/ann/fork", `{"id":"cid"}`, http.StatusCreated, &fork)
	require.Equal(t, made.Tokens, fork.Tokens)
	require.Equal(t, made.Tool, fork.Tool)
	require.False(t, fork.Pinned)
	in.call("POST", "/v1/agents/ann/fork", `{"id":"cid"}`, http.StatusConflict, nil)
	forked := in.generates("cid", system, says("user", "What is tea?"), says("assistant", answer), says("user", "And coffee?"), says("assistant", next.Choices[0].Message.Content), says("user", "And milk?"))
	require.GreaterOrEqual(t, forked.Usage.Details.Cached, next.Usage.Prompt)
	require.Equal(t, made.Tokens, in.agentByAPI("ann").Tokens)

	// Out of here, and back: nothing of it is computed again.
	archive := in.get("/v1/agents/ann/export")
	require.Equal(t, http.StatusOK, archive.status)
	var gone infer.Forgotten
	in.call("DELETE", "/v1/agents/cid", "", http.StatusOK, nil)
	in.call("DELETE", "/v1/agents/ann", "", http.StatusOK, &gone)
	require.Positive(t, gone.Bytes)
	in.call("GET", "/v1/agents/ann", "", http.StatusNotFound, nil)
	in.await("nothing is pinned", func() bool { return in.kept().PinnedBytes == 0 })
	in.call("POST", "/v1/agents/import", string(archive.body), http.StatusCreated, &made)
	require.Equal(t, "ann", made.ID)
	require.Equal(t, infer.TierWarm, made.Tier)
	require.Equal(t, made.Tokens, made.WarmTokens)
	require.Positive(t, made.Bytes)
	in.call("POST", "/v1/agents/import?id=half", string(archive.body[:len(archive.body)/2]), http.StatusBadRequest, nil)
	again := in.generates("ann", system, says("user", "What is tea?"), says("assistant", answer), says("user", "And coffee?"))
	require.Equal(t, next.Choices, again.Choices)
	require.Equal(t, next.Usage.Prompt, again.Usage.Details.Cached)
	require.Zero(t, in.kept().Disproved)

	// What has changed is told of.
	system["content"] = strings.Replace(system["content"].(string), "for tea", "for coffee", 1)
	in.generates("ann", system, says("user", "What is tea?"))
	miss := in.agentByAPI("ann").LastMiss
	require.NotNil(t, miss)
	require.Equal(t, infer.MissChanged, miss.Reason)
	require.Equal(t, 0, miss.Message)
	require.Equal(t, infer.RoleSystem, miss.Role)
	require.True(t, strings.HasPrefix(miss.Old, "tea. You") && strings.HasPrefix(miss.New, "coffee. You"), miss.Text)
	require.Positive(t, miss.Tokens)

	// And it all adds up, over a restart, too.
	in.ledgerAddsUp(7)
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	in = start(t, setup{dataDir: in.dataDir})
	in.awaitReady()
	in.await("it keeps", func() bool { return in.kept().On })
	in.ledgerAddsUp(7)
	require.Equal(t, miss.Text, in.agentByAPI("ann").LastMiss.Text)
}

// ledgerAddsUp requires that all ways to tell of what was saved tell the same, of so many
// requests.
func (in *instance) ledgerAddsUp(requests int) {
	in.t.Helper()
	var saved struct {
		Total  infer.SavedDay
		Days   []infer.SavedDay
		Agents []infer.AgentSaved
	}
	in.call("GET", "/samovar/v1/savings", "", http.StatusOK, &saved)
	require.Equal(in.t, requests, saved.Total.Requests)
	var days, agents infer.Saved
	for _, d := range saved.Days {
		days.Add(d.Saved)
	}
	for _, a := range saved.Agents {
		agents.Add(a.Saved)
	}
	require.Equal(in.t, saved.Total.Saved, days)
	require.LessOrEqual(in.t, agents.PromptTokens, days.PromptTokens, "some are forgotten")
	var stats struct {
		Agents       int
		PromptTokens int   `json:"prompt_tokens"`
		CachedTokens int   `json:"cached_tokens"`
		WrittenBytes int64 `json:"written_bytes"`
		Tokens       int
	}
	in.call("GET", "/v1/agents/stats", "", http.StatusOK, &stats)
	require.Equal(in.t, 2, stats.Agents)
	require.Equal(in.t, agents.PromptTokens, stats.PromptTokens)
	require.Equal(in.t, agents.CachedTokens, stats.CachedTokens)
	require.Equal(in.t, agents.WrittenBytes, stats.WrittenBytes)
	require.Positive(in.t, stats.Tokens)
}
