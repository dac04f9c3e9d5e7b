package anthropic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/anthropic"
)

func TestDecodeKeepsWhatIsAskedFor(t *testing.T) {
	c, err := anthropic.Decode([]byte(`{
		"model": "m", "stream": true, "max_tokens": 32000, "stop_sequences": ["END", "\n\n"],
		"system": [
			{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.440; cc_entrypoint=cli;"},
			{"type": "text", "text": "You are a tool.", "cache_control": {"type": "ephemeral"}},
			{"type": "text", "text": "Be brief."}],
		"messages": [
			{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
			{"role": "system", "content": "c"},
			{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "d"}]},
			{"role": "user", "content": "e"}],
		"temperature": 1, "top_p": 0.5, "top_k": 3}`))
	require.NoError(t, err)
	require.True(t, c.Stream)
	one, half, three := 1.0, 0.5, 3
	require.Equal(t, infer.Request{
		Model: "m",
		Messages: []infer.Message{
			{Role: infer.RoleSystem, Content: "You are a tool.\nBe brief."},
			{Role: infer.RoleUser, Content: "a\nb"},
			{Role: infer.RoleSystem, Content: "c"},
			{Role: infer.RoleAssistant, Content: "d"},
			{Role: infer.RoleUser, Content: "e"},
		},
		MaxTokens: 32000,
		Stop:      []string{"END", "\n\n"},
		Sampling:  infer.Sampling{Temperature: &one, TopP: &half, TopK: &three},
	}, c.Request)
}

// What Claude Code puts before its prompt must not make prompts differ.
func TestBillingIsDropped(t *testing.T) {
	for system, want := range map[string]string{
		`"x-anthropic-billing-header: cc_version=1; cch=abc;"`:                                  "",
		`[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=abc;"}]`:         "",
		`"x-anthropic-billing-header: cc_version=1; cch=abc;\nYou are"`:                         "You are",
		`[{"type":"text","text":"x-anthropic-billing-header: a"},{"type":"text","text":"You"}]`: "You",
		`"Do not send x-anthropic-billing-header: it is not needed"`:                            "Do not send x-anthropic-billing-header: it is not needed",
		`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`:                               "a\nb",
		`null`: "",
	} {
		c, err := anthropic.Decode([]byte(`{"system":` + system + `,"messages":[{"role":"user","content":"a"}]}`))
		require.NoError(t, err)
		got := ""
		if m := c.Request.Messages[0]; m.Role == infer.RoleSystem {
			got = m.Content
		}
		require.Equal(t, want, got, system)
	}
}

// Real clients send all of these with requests that can be answered.
func TestDecodeAcceptsWhatDoesNotChangeTheAnswer(t *testing.T) {
	c, err := anthropic.Decode([]byte(`{
		"messages": [{"role": "user", "content": "a"}],
		"tools": [], "tool_choice": {"type": "auto"}, "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
		"metadata": {"user_id": "u"}, "service_tier": "auto", "context_management": {"edits": []}, "betas": ["b"],
		"output_config": {"effort": "high"}, "mcp_servers": [], "container": null, "unheard_of": {"a": 1}}`))
	require.NoError(t, err)
	require.Equal(t, infer.Request{Agent: "u", Messages: []infer.Message{{Role: infer.RoleUser, Content: "a"}}}, c.Request)
}

func TestThreadsAreRefusedSoThatRunnersGoOn(t *testing.T) {
	_, err := anthropic.Decode([]byte(`{"thread":{"type":"create"},"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f"}]}`))
	var u *anthropic.UnsupportedError
	require.ErrorAs(t, err, &u, "before anything else that is refused")
	require.Equal(t, "thread_unsupported_request", u.ErrorCode)
	require.Equal(t, []string{"thread"}, u.Fields)
}
