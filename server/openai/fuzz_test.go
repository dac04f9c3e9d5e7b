package openai_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/openai"
)

// FuzzDecode holds what the engine relies on: a body is refused as invalid, or
// becomes a request that keeps infer's promises.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"messages":[{"role":"user","content":"Hello"}]}`,
		`{"messages":[{"role":"developer","content":[{"type":"text","text":"a"}]},{"role":"user","content":"b"}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null},{"role":"user","content":""}],"stop":["a","b"],"seed":-1,"top_p":0,"n":1}`,
		`{"messages":[{"role":"user","content":"a"}],"max_tokens":1e3,"max_completion_tokens":99999999999,"temperature":0.5,"top_k":-1,"repeat_penalty":1.1}`,
		`{"messages":[{"role":"user","content":"\ud800"}],"response_format":{"type":"text"},"tool_choice":"auto","tools":[]}`,
		`{"messages":[{"role":"tool","content":"x"}],"tools":[{}]}`, `[]`, `{`, "\xef\xbb\xbf{}", `{"messages":[{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := openai.Decode(body)
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
