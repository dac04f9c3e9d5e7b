package agents

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// rendered is what a template makes of messages.
func rendered(messages []infer.Message) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString("[" + string(m.Role) + "] " + strings.TrimSpace(m.Content) + "\n")
	}
	return b.String()
}

// said makes messages of texts: a system message, then question and answer in turns.
func said(texts ...string) []infer.Message {
	roles := []infer.Role{infer.RoleUser, infer.RoleAssistant}
	messages := []infer.Message{{Role: infer.RoleSystem, Content: texts[0]}}
	for i, text := range texts[1:] {
		messages = append(messages, infer.Message{Role: roles[i%2], Content: text})
	}
	return messages
}

// turn has an agent ask with messages of which so many tokens are cached.
func turn(r *Registry, id string, messages []infer.Message, cached int) *infer.Miss {
	text := rendered(messages)
	c := r.Claim(Prompt{Agent: id, Tokens: bytewise(text), Text: text, Messages: messages})
	return r.Settle(c, Result{Tokens: bytewise(text), Prompt: len(text), Cached: cached, PrefillRow: time.Millisecond})
}

// bytewise makes a token of each byte.
func bytewise(text string) []Token {
	tokens := make([]Token, len(text))
	for i := range len(text) {
		tokens[i] = Token(text[i])
	}
	return tokens
}

func TestWhereAConversationChanged(t *testing.T) {
	const long = "and so on, for as long as it takes to matter at all"
	was := said("Be kind.  ", "How are you? "+long, "Well. "+long, "What is the tëa like? "+long)
	for name, c := range map[string]struct {
		now             []infer.Message
		message, offset int
		old, new        string
	}{
		"the first message":    {said("Be rude.", was[1].Content, was[2].Content, was[3].Content), 0, 3, "kind.", "rude."},
		"a question":           {said("Be kind.", "How is she? "+long, was[2].Content), 1, 4, "are you?", "is she?"},
		"an answer":            {said("Be kind.", was[1].Content, "Ill. "+long, was[3].Content), 2, 0, "Well.", "Ill."},
		"half a character":     {said("Be kind.", was[1].Content, was[2].Content, "What is the töa like? "+long), 3, 13, "ëa", "öa"},
		"white space before":   {said("\n Be rude. " + long), 0, 5, "kind.", "rude."},
		"a message left out":   {said("Be kind.", was[1].Content, was[3].Content), 2, 1, "ell.", "hat is"},
		"a message cut short":  {said("Be kind.", "How are you?", was[2].Content), 1, 12, " and so on", "\n[assistant] Well."},
		"between two messages": {[]infer.Message{was[0], {Role: "other", Content: long}}, -1, 0, "user]", "other]"},
	} {
		r, _ := registry()
		require.Nil(t, turn(r, "one", was, 0), name)
		n := len(rendered(c.now)) - 1
		same := common(bytewise(rendered(was)), bytewise(rendered(c.now)))
		m := turn(r, "one", c.now, min(same, n))
		require.NotNil(t, m, name)
		require.Equal(t, infer.MissChanged, m.Reason, name)
		require.Equal(t, c.message, m.Message, name)
		require.Equal(t, c.offset, m.Offset, name)
		require.True(t, strings.HasPrefix(m.Old, c.old), "%s: %q", name, m.Old)
		require.True(t, strings.HasPrefix(m.New, c.new), "%s: %q", name, m.New)
		require.Equal(t, min(len(rendered(was)), n+1)-same, m.Tokens, name)
		require.Equal(t, time.Duration(m.Tokens)*time.Millisecond, m.Time, name)
		if c.message >= 0 {
			require.Equal(t, c.now[c.message].Role, m.Role, name)
			require.Contains(t, m.Text, string(m.Role), name)
		} else {
			require.Empty(t, m.Role, name)
			require.Contains(t, m.Text, "between its messages", name)
		}
	}
}

// Going on, going back and saying the last words otherwise is no reason for words.
func TestWhatIsNoMiss(t *testing.T) {
	long := strings.Repeat("for as long as it takes. ", 20)
	r, _ := registry()
	require.Nil(t, turn(r, "one", said(long, long), 0), "there was nothing before")
	same := len(rendered(said(long, long)))
	require.Nil(t, turn(r, "one", said(long, long, "Well.", "And you?"), same), "it goes on")
	require.Nil(t, turn(r, "one", said(long, long), same-1), "it goes back")
	require.Nil(t, turn(r, "one", said(long, strings.TrimSpace(long)+"!"), same-2), "a few tokens")
	require.Nil(t, turn(r, "two", said(long, long), same-1), "somebody else")
}

// What another agent's KV had is not computed again, and must not be said to be.
func TestAChangeThatCostsNothingIsNoMiss(t *testing.T) {
	one, two := strings.Repeat("the one. ", 100), strings.Repeat("another. ", 100)
	for cached, tokens := range map[int]int{0: 900, 9: 900, 500: 409, 890: 19, 893: 0, 908: 0} {
		r, _ := registry()
		turn(r, "one", said(one), 0)
		m := turn(r, "one", said(two), cached)
		if tokens == 0 {
			require.Nil(t, m, "%d cached", cached)
			e, _ := r.Get("one")
			require.Nil(t, e.LastMiss)
			continue
		}
		require.NotNil(t, m, "%d cached", cached)
		require.Equal(t, tokens, m.Tokens, "%d cached", cached)
		require.Equal(t, infer.MissChanged, m.Reason)
	}
}

// The larger loss is the one that is told of.
func TestWhatIsGoneIsToldOfBeforeASmallChange(t *testing.T) {
	long := strings.Repeat("for as long as it takes. ", 40) // 1000
	r, _ := registry()
	turn(r, "one", said(long, "How are you these days, old friend of mine?"), 0)
	m := turn(r, "one", said(long, "Where have you been all those years, then?"), 0)
	require.Equal(t, infer.MissGone, m.Reason)
	require.Greater(t, m.Tokens, 1000)
	m = turn(r, "one", said(long, "Where have you been all those years, then?"), 900)
	require.Nil(t, m, "less than a block")

	m = turn(r, "one", said(long[:400], strings.Repeat("what else? ", 100)), 0)
	require.Equal(t, infer.MissChanged, m.Reason, "a large change before what is gone")

	text := rendered(said(long))
	c := r.Claim(Prompt{Agent: "two", Tokens: bytewise(text), Text: text})
	r.Settle(c, Result{Tokens: bytewise(text), Prompt: len(text)})
	c = r.Claim(Prompt{Agent: "two", Tokens: bytewise(text), Text: text})
	m = r.Settle(c, Result{Tokens: bytewise(text), Prompt: len(text), Whole: true})
	require.Equal(t, infer.MissCheckpoint, m.Reason)
	require.Equal(t, len(text)-1, m.Tokens)
	require.NotContains(t, m.Text, "about 0.0 s", "what is not known is not said")
}

// The same text of other tokens is told from another text.
func TestTheSameTextOfOtherTokens(t *testing.T) {
	r, _ := registry()
	messages := said(strings.Repeat("be kind. ", 20), strings.Repeat("a", 100))
	text := rendered(messages)
	told := single(text[:len(text)-101])
	for range 50 {
		told = append(told, pair)
	}
	talk(r, "one", append(told, '\n'), true)
	m := turn(r, "one", messages, len(told)-50)
	require.Equal(t, infer.MissChanged, m.Reason)
	require.Contains(t, m.Text, "the same text as before, but of other tokens")
	require.Empty(t, m.Old+m.New)
	require.Equal(t, 1, m.Message)
	require.Zero(t, m.Offset)
}

// A start token that a template leaves to the tokenizer does not move what is found.
func TestAStartTokenIsNoText(t *testing.T) {
	for _, start := range [][]Token{nil, {end}} {
		r, _ := registry()
		claim := func(messages []infer.Message) *infer.Miss {
			text := rendered(messages)
			tokens := append(append([]Token(nil), start...), single(text)...)
			return r.Settle(r.Claim(Prompt{Agent: "one", Tokens: tokens, Text: text, Messages: messages}), Result{Tokens: tokens, Prompt: len(tokens)})
		}
		claim(said("Be kind to all who ask, please."))
		m := claim(said("Be rude to all who ask, please."))
		require.Equal(t, 0, m.Message)
		require.Equal(t, 3, m.Offset)
	}
}

// Whatever is changed: where it is said to be different it is, and before that it is not.
func TestExplanationsAreTrue(t *testing.T) {
	words := []string{"tea ", "täglich ", "茶 ", "user ", "\n", "be kind ", "[system] ", ""}
	told := 0
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		text := func() string {
			var b strings.Builder
			for range rnd.IntN(40) {
				b.WriteString(words[rnd.IntN(len(words))])
			}
			return b.String()
		}
		was := said(text(), text(), text(), text())
		now := append([]infer.Message(nil), was[:1+rnd.IntN(len(was))]...)
		now[len(now)-1].Content = text()
		for range rnd.IntN(3) {
			now = append(now, infer.Message{Role: infer.RoleUser, Content: text()})
		}
		r, _ := registry()
		turn(r, "one", was, 0)
		m := turn(r, "one", now, 0)
		if m == nil || m.Reason != infer.MissChanged {
			continue
		}
		require.True(t, utf8.ValidString(m.Old) && utf8.ValidString(m.New), "seed %d", seed)
		require.LessOrEqual(t, len(m.Old), shown)
		before, after := rendered(was), rendered(now)
		at := alike(before, after)
		require.True(t, strings.HasPrefix(before[at:], m.Old) && strings.HasPrefix(after[at:], m.New), "seed %d: %q", seed, m.Text)
		require.Equal(t, min(len(before), len(after))-common(bytewise(before), bytewise(after)), m.Tokens, "seed %d", seed)
		if m.Message < 0 {
			continue
		}
		require.Less(t, m.Message, len(now), "seed %d", seed)
		content := now[m.Message].Content
		require.LessOrEqual(t, m.Offset, len(content), "seed %d", seed)
		if slices.ContainsFunc(now, func(m infer.Message) bool { return len(strings.TrimSpace(m.Content)) < len("[assistant] ") }) {
			continue // such a short one can be found in what the template adds, too
		}
		content = strings.TrimRight(content[m.Offset:], " \n")
		n := min(len(content), len(m.New))
		require.Equal(t, content[:n], m.New[:n], "seed %d: %q", seed, m.Text)
		told++
	}
	require.Greater(t, told, 500)
}
