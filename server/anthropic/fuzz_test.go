package anthropic_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/anthropic"
)

// FuzzDecode holds what the engine relies on: a body is refused as invalid, or
// becomes a request that keeps infer's promises.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"messages":[{"role":"user","content":"Hello"}],"max_tokens":10}`,
		`{"system":"a","messages":[{"role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]}],"stream":true}`,
		`{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; y"},{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"},{"role":"system","content":"b"}]}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}],"thinking":{"type":"adaptive"}}`,
		`{"messages":[{"role":"user","content":"a"}],"stop_sequences":["a"],"tool_choice":{"type":"none"},"tools":[],"output_config":{"effort":"high"}}`,
		`{"thread":{"type":"create"},"messages":[]}`, `{"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}`, `[]`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := anthropic.Decode(body)
		if err != nil {
			var e *infer.Error
			require.True(t, errors.As(err, &e), "%T", err)
			require.Equal(t, infer.CodeInvalid, e.Code)
			require.True(t, utf8.ValidString(e.Public()))
			require.NotEmpty(t, e.Message)
			return
		}
		r := c.Request
		require.NotEmpty(t, r.Messages)
		require.NotEqual(t, infer.RoleAssistant, r.Messages[len(r.Messages)-1].Role)
		for _, m := range r.Messages {
			require.Contains(t, []infer.Role{infer.RoleSystem, infer.RoleUser, infer.RoleAssistant}, m.Role)
			require.True(t, utf8.ValidString(m.Content))
			require.False(t, strings.ContainsRune(m.Content, 0))
		}
		require.GreaterOrEqual(t, r.MaxTokens, 0)
		require.NotContains(t, r.Stop, "")
		if p := r.Sampling.TopP; p != nil {
			require.Greater(t, *p, 0.0)
		}
	})
}
