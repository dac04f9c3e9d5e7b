package worker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/wire"
)

// Models sample tokens that a tokenizer would not make of the same text. A
// conversation that comes back as text goes on with them.
func TestAnswersComeBackAsTheTokensThatWereSampled(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	model, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
	require.NoError(t, err)
	defer model.Close()
	p := newPreparer(model, wire.Load{}, 4096)
	require.NoError(t, p.templateErr)
	p.agents = agents.New(model.Text)
	ask := func(messages ...infer.Message) *job {
		t.Helper()
		j, failed := p.prepare(t.Context(), &ticket{}, infer.Request{Messages: messages, Agent: "one"}, time.Now())
		require.Nil(t, failed)
		return j
	}
	say := func(role infer.Role, text string) infer.Message { return infer.Message{Role: role, Content: text} }
	question := say(infer.RoleUser, strings.Repeat("What is the right tea for a long evening? ", 30))
	first := ask(question)

	const answer = "Wonderful questions deserve wonderful kettles"
	canonical, err := model.Tokenize(answer, false)
	require.NoError(t, err)
	var sampled []llama.Token
	for _, c := range answer {
		one, err := model.Tokenize(string(c), false)
		require.NoError(t, err)
		sampled = append(sampled, one...)
	}
	require.Greater(t, len(sampled), len(canonical))
	held := slices.Concat(first.tokens, sampled)
	p.agents.Settle(first.claim, agents.Result{Tokens: held, Prompt: len(first.tokens)})

	next := ask(question, say(infer.RoleAssistant, answer), say(infer.RoleUser, "And then?"))
	require.Equal(t, held, next.tokens[:len(held)])
	require.Equal(t, len(held), next.claim.Known)

	// What is told otherwise is tokenised as if nothing were known, and so is what has
	// the text of a control token that somebody wrote.
	control := model.ControlTexts()[0]
	for _, messages := range [][]infer.Message{
		{question, say(infer.RoleAssistant, "Wonderful questions, indeed"), say(infer.RoleUser, "And then?")},
		{question, say(infer.RoleAssistant, answer), say(infer.RoleUser, "What does "+control+" mean?")},
	} {
		segments, err := p.template.Render(t.Context(), messages)
		require.NoError(t, err)
		want, err := p.tokenize(segments)
		require.NoError(t, err)
		require.Equal(t, want, ask(messages...).tokens)
	}
}
