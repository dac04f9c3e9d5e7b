package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// agentInfo is an agent as the command line and the API tell of it.
type agentInfo struct {
	ID       string
	Tier     string
	Pinned   bool
	Tokens   int
	Bytes    int64
	Requests int
	Tool     string
	LastMiss *struct {
		Reason, Text, Old, New string
		Message                int
	} `json:"last_miss"`
}

// agents runs `samovar agents` against the instance.
func (in *instance) agents(args ...string) (stdout, stderr string, code int) {
	in.t.Helper()
	return runToEnd(in.t, []string{"SAMOVAR_ADDR=" + strings.TrimPrefix(in.base, "http://")}, append([]string{"agents"}, args...)...)
}

func (in *instance) agent(id string) (a agentInfo) {
	in.t.Helper()
	out, errs, code := in.agents("show", id, "--json")
	require.Zero(in.t, code, errs)
	require.NoError(in.t, json.Unmarshal([]byte(out), &a), out)
	return a
}

// asksAs is asks with a name.
func (in *instance) asksAs(agent, text string) asked {
	in.t.Helper()
	req := in.request("/v1/chat/completions", encode(in.t, question(text, map[string]any{"max_tokens": 12})))
	req.Header.Set("X-Agent-Id", agent)
	req.Header.Set("User-Agent", "opencode/1.2.3")
	r := in.do(req)
	require.Equal(in.t, 200, r.status, "%s", r.body)
	var a asked
	require.NoError(in.t, json.Unmarshal(r.body, &a))
	return a
}

func TestAgentsByCommandLine(t *testing.T) {
	in := start(t, setup{dataDir: t.TempDir()})
	in.awaitReady()
	out, _, code := in.agents()
	require.Zero(t, code)
	require.Contains(t, out, "obody has come yet")

	text := strings.Repeat("What goes with tea? ", 60)
	first := in.asksAs("writer", text)
	require.Zero(t, first.Usage.Details.Cached)
	a := in.agent("writer")
	require.Equal(t, "hot", a.Tier)
	require.Equal(t, "opencode", a.Tool)
	require.GreaterOrEqual(t, a.Tokens, first.Usage.Prompt)
	require.Nil(t, a.LastMiss)

	// Out of the pool, and back.
	_, errs, code := in.agents("evict", "writer")
	require.Zero(t, code, errs)
	require.Equal(t, "warm", in.agent("writer").Tier)
	again := in.asksAs("writer", text)
	require.Equal(t, first.Choices, again.Choices)
	require.Equal(t, first.Usage.Prompt, again.Usage.Details.Cached)

	// Why not.
	in.asksAs("writer", "It is noon. "+text)
	a = in.agent("writer")
	require.NotNil(t, a.LastMiss)
	require.Equal(t, "changed", a.LastMiss.Reason)
	require.Contains(t, a.LastMiss.New, "It is noon.")
	again = in.asksAs("writer", text)
	require.Equal(t, first.Usage.Prompt, again.Usage.Details.Cached, "the other beginning is still there")

	_, errs, code = in.agents("pin", "writer")
	require.Zero(t, code, errs)
	require.True(t, in.agent("writer").Pinned)
	_, errs, code = in.agents("fork", "writer", "editor")
	require.Zero(t, code, errs)
	require.Equal(t, first.Usage.Prompt, in.asksAs("editor", text).Usage.Details.Cached)

	file := filepath.Join(t.TempDir(), "writer.tar")
	_, errs, code = in.agents("export", "writer", file)
	require.Zero(t, code, errs)
	for _, id := range []string{"writer", "editor"} {
		_, errs, code = in.agents("forget", id)
		require.Zero(t, code, errs)
	}
	_, errs, code = in.agents("show", "writer")
	require.Equal(t, 1, code)
	require.Contains(t, errs, `"writer"`)
	require.Less(t, in.asksAs("somebody", text).Usage.Details.Cached, 20, "what is forgotten is gone")
	_, errs, code = in.agents("forget", "somebody")
	require.Zero(t, code, errs)

	// Another life takes it in.
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	in = start(t, setup{dataDir: t.TempDir()})
	in.awaitReady()
	_, errs, code = in.agents("import", file, "reader")
	require.Zero(t, code, errs)
	a = in.agent("reader")
	require.Equal(t, "warm", a.Tier)
	require.Positive(t, a.Bytes)
	moved := in.asksAs("reader", text)
	require.Equal(t, first.Choices, moved.Choices)
	require.Equal(t, first.Usage.Prompt, moved.Usage.Details.Cached)
	_, errs, code = in.agents("import", file, "reader")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "already")

	out, errs, code = in.agents()
	require.Zero(t, code, errs)
	require.Contains(t, out, "reader")
	require.Contains(t, out, "opencode")
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	_, errs, code = in.agents()
	require.NotZero(t, code)
	require.Contains(t, errs, "samovar serve", "nobody is there: it says what to do")
}
