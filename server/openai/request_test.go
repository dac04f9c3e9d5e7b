package openai_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server/openai"
)

func TestDecodeKeepsWhatIsAskedFor(t *testing.T) {
	c, err := openai.Decode([]byte(`{
		"model": "m", "stream": true, "stream_options": {"include_usage": true},
		"messages": [
			{"role": "developer", "content": "be brief"},
			{"role": "user", "name": "ann", "content": [{"type": "text", "text": " a "}, {"type": "text", "text": "b"}]},
			{"role": "assistant", "content": null},
			{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "reasoning_content": "hm"},
			{"role": "user", "content": "c\r\n"}],
		"max_tokens": 5, "max_completion_tokens": 7, "stop": "END", "temperature": 0.5, "top_p": 0.9, "top_k": 40,
		"min_p": 0.1, "seed": 3, "frequency_penalty": 0.1, "presence_penalty": 0.2, "repeat_penalty": 1.5}`))
	require.NoError(t, err)
	require.True(t, c.Stream)
	require.True(t, c.IncludeUsage)
	seed, topK := uint32(3), 40
	float := func(f float64) *float64 { return &f }
	require.Equal(t, infer.Request{
		Model: "m",
		Messages: []infer.Message{
			{Role: infer.RoleSystem, Content: "be brief"},
			{Role: infer.RoleUser, Content: " a \nb"},
			{Role: infer.RoleAssistant},
			{Role: infer.RoleAssistant, Content: "no"},
			{Role: infer.RoleUser, Content: "c\r\n"},
		},
		MaxTokens: 7,
		Stop:      []string{"END"},
		Sampling: infer.Sampling{
			Temperature: float(0.5), TopP: float(0.9), TopK: &topK, MinP: float(0.1), RepeatPenalty: float(1.5),
			FrequencyPenalty: float(0.1), PresencePenalty: float(0.2), Seed: &seed,
		},
	}, c.Request)
}

// Real clients send all of these with requests that can be answered.
func TestDecodeAcceptsWhatDoesNotChangeTheAnswer(t *testing.T) {
	c, err := openai.Decode([]byte(`{
		"messages": [{"role": "user", "content": "a", "tool_calls": []}],
		"tools": [], "tool_choice": "auto", "functions": null, "function_call": "none", "parallel_tool_calls": true,
		"n": 1, "logprobs": false, "top_logprobs": 0, "logit_bias": {}, "response_format": {"type": "text"},
		"modalities": ["text"], "audio": null, "prediction": null, "stream_options": {"include_usage": true},
		"user": "u", "metadata": {"a": "b"}, "store": true, "service_tier": "auto", "prompt_cache_key": "k",
		"reasoning_effort": "high", "verbosity": "low", "max_tokens": -1, "stop": null, "unheard_of": [1]}`))
	require.NoError(t, err)
	require.False(t, c.Stream)
	require.False(t, c.IncludeUsage, "a whole answer has its usage anyway")
	require.Equal(t, infer.Request{Agent: "k", Messages: []infer.Message{{Role: infer.RoleUser, Content: "a"}}}, c.Request)
}

func TestDecodeClampsHugeMaxTokens(t *testing.T) {
	c, err := openai.Decode([]byte(`{"messages":[{"role":"user","content":"a"}],"max_tokens":9223372036854775807}`))
	require.NoError(t, err)
	require.Equal(t, 1<<31-1, c.Request.MaxTokens)
}

func TestAnAssistantCannotHaveTheLastWord(t *testing.T) {
	_, err := openai.Decode([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`))
	var e *infer.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, infer.CodeInvalid, e.Code)
	require.Equal(t, "messages", e.Param)
	require.Contains(t, e.Message, "must not end with an assistant message")
}
