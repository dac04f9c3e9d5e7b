package agents

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// In this vocabulary a number below 128 is that character, one from 1000 on is two "a",
// and 2000 is the control token <end>.
const pair, end = 1000, 2000

func piece(dst []byte, t Token) []byte {
	switch t {
	case pair:
		return append(dst, "aa"...)
	case end:
		return append(dst, "<end>"...)
	}
	return append(dst, byte(t))
}

func isEnd(t Token) bool { return t == end }

// single makes a token of each character.
func single(text string) []Token {
	var tokens []Token
	for _, c := range text {
		tokens = append(tokens, Token(c))
	}
	return tokens
}

// talk has an agent end a request with a conversation.
func talk(r *Registry, id string, tokens []Token, plain bool) {
	c := r.Claim(Prompt{Agent: id, Tokens: tokens, Plain: plain})
	r.Settle(c, Result{Tokens: tokens, Prompt: len(tokens)})
}

func TestTextGoesOnWithTheTokensThatThereAre(t *testing.T) {
	r := New(piece)
	system := append(single(strings.Repeat("be kind. ", 20)), end)
	told := slices.Concat(system, single("b"), []Token{pair}, single("ab"))
	talk(r, "one", told, true)
	text := strings.Repeat("be kind. ", 20) + "<end>baaab"

	for name, c := range map[string]struct {
		id, text string
		tokens   []Token
		bytes    int
	}{
		"all of it":                      {"one", text, told, len(text)},
		"and more":                       {"one", text + "<end>more", told, len(text)},
		"whoever asks":                   {"", text + "<end>more", told, len(text)},
		"another end":                    {"one", strings.Replace(text, "baaab", "baaa", 1), system, len(text) - 5},
		"another agent":                  {"two", text, nil, 0},
		"another beginning":              {"one", "x" + text, nil, 0},
		"less than the first message":    {"one", text[:30], nil, 0},
		"nothing":                        {"one", "", nil, 0},
		"a control token that is broken": {"one", strings.Replace(text, "<end>", "<e n>", 1), nil, 0},
	} {
		tokens, bytes := r.Continued(c.id, c.text, isEnd)
		require.Equal(t, c.tokens, tokens, name)
		require.Equal(t, c.bytes, bytes, name)
	}
}

func TestTextOfControlTokensIsNoControlToken(t *testing.T) {
	r := New(piece)
	told := single(strings.Repeat("be kind. ", 20) + "what does <end> mean?")
	talk(r, "one", told, false)
	text := strings.Repeat("be kind. ", 20) + "what does <end> mean?<end>"
	tokens, _ := r.Continued("one", text, isEnd)
	require.Empty(t, tokens)
	r.Create("two", "", told, false)
	tokens, _ = r.Continued("two", text, isEnd)
	require.Empty(t, tokens, "nothing is known of how it came about")
}

func TestASpellingFollowsItsConversation(t *testing.T) {
	r := New(piece)
	first := append(single(strings.Repeat("be kind. ", 20)), end)
	talk(r, "one", slices.Concat(first, single("aaaa")), true)
	text := strings.Repeat("be kind. ", 20) + "<end>aaaabc"
	_, n := r.Continued("one", text, isEnd)
	require.Equal(t, len(text)-2, n)
	talk(r, "one", slices.Concat(first, []Token{pair, pair}, single("b")), true)
	tokens, n := r.Continued("one", text, isEnd)
	require.Equal(t, len(text)-1, n)
	require.Equal(t, []Token{end, pair, pair, 'b'}, tokens[len(first)-1:])
	talk(r, "one", single(strings.Repeat("c", 200)), true)
	_, n = r.Continued("one", text, isEnd)
	require.Zero(t, n)
	_, n = r.Continued("one", strings.Repeat("c", 300), isEnd)
	require.Equal(t, 200, n)
}

// Whatever conversations there are: what is found spells the text's beginning.
func FuzzContinued(f *testing.F) {
	f.Add([]byte{3, 200, 7}, "baaa<end>")
	f.Fuzz(func(t *testing.T, told []byte, more string) {
		r := New(piece)
		tokens := single(strings.Repeat("be kind. ", 20))
		for _, c := range told {
			tokens = append(tokens, []Token{'a', 'b', pair, end}[c%4])
		}
		talk(r, "", tokens, true)
		text := strings.Repeat("be kind. ", 20) + more
		got, n := r.Continued("", text, isEnd)
		if string(r.render(got)) != text[:n] {
			t.Fatalf("%v is not %q", got, text[:n])
		}
		if len(got) > 0 && len(got) < len(tokens) && got[len(got)-1] != end {
			t.Fatal("cut where a tokenizer would not")
		}
	})
}
