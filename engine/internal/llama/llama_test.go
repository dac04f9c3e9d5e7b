package llama_test

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
)

// model is loaded once: the library can't be unloaded either.
var model = sync.OnceValues(func() (*llama.Model, error) {
	t := &testing.T{}
	lib, err := llama.Load(llamatest.LibDir(t))
	if err != nil {
		return nil, err
	}
	return lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
})

func open(t *testing.T, p llama.ContextParams) (*llama.Model, *llama.Context) {
	t.Helper()
	llamatest.LibDir(t)
	m, err := model()
	require.NoError(t, err)
	if p.KVType == "" {
		p.KVType = "f16"
	}
	c, err := m.NewContext(p)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return m, c
}

// One thread: several wait for each other for long on a busy machine.
var small = llama.ContextParams{Cells: 256, Rows: 64, Sequences: 4, Threads: 1}

// rows lays tokens out as one sequence from position pos; the last is an output.
func rows(seq, pos int, tokens ...llama.Token) []llama.Row {
	out := make([]llama.Row, len(tokens))
	for i, t := range tokens {
		out[i] = llama.Row{Seq: seq, Pos: pos + i, Token: t, Output: i == len(tokens)-1}
	}
	return out
}

func tokens(t *testing.T, m *llama.Model, text string) []llama.Token {
	t.Helper()
	out, err := m.Tokenize(text, false)
	require.NoError(t, err)
	return out
}

// generate decodes n tokens after prompt on an empty sequence.
func generate(t *testing.T, c *llama.Context, seq int, prompt []llama.Token, p llama.SamplerParams, n int) []llama.Token {
	t.Helper()
	s, err := c.NewSampler(p)
	require.NoError(t, err)
	defer s.Close()
	var out []llama.Token
	next, pos := prompt, 0
	for range n {
		require.NoError(t, c.Decode(rows(seq, pos, next...)))
		pos += len(next)
		token, err := s.Sample(len(next) - 1)
		require.NoError(t, err)
		out = append(out, token)
		next = []llama.Token{token}
	}
	require.NoError(t, c.Remove(seq))
	return out
}

var greedy = llama.SamplerParams{TopP: 1, RepeatPenalty: 1}

func TestAnyTextSurvivesTheTokenizer(t *testing.T) {
	m, _ := open(t, small)
	for _, text := range []string{
		"Hello, world!", "", " ", "\x00", "a\x00b", "é🫖世界", "<|im_end|>", strings.Repeat("tea ", 5000), "\r\n\t",
	} {
		var back []byte
		for _, token := range tokens(t, m, text) {
			back = m.Piece(back, token)
		}
		require.Equal(t, text, string(back))
	}
	longest := m.LongestPiece()
	require.Greater(t, longest, 3)
	for token := range llama.Token(m.VocabSize()) {
		require.LessOrEqual(t, len(m.Piece(nil, token)), longest)
	}
	// llama.cpp replaces what is no UTF-8; it must only survive it.
	require.NotEmpty(t, tokens(t, m, "\xff\xfe broken"))
}

func TestControlTokensOnlyCountWhenAsked(t *testing.T) {
	m, _ := open(t, small)
	asText, err := m.Tokenize("<|im_end|>", false)
	require.NoError(t, err)
	require.Greater(t, len(asText), 1)
	asToken, err := m.Tokenize("<|im_end|>", true)
	require.NoError(t, err)
	require.Len(t, asToken, 1)
	require.True(t, m.IsEnd(asToken[0]))
	require.Contains(t, m.ControlTexts(), "<|im_end|>")
	require.NotEmpty(t, m.ChatTemplate())
}

func TestDecodeRefusesWhatWouldAbort(t *testing.T) {
	m, c := open(t, small)
	ok := tokens(t, m, "hello")
	bad := map[string][]llama.Row{
		"nothing":           nil,
		"too many rows":     rows(0, 0, make([]llama.Token, 65)...),
		"a gap":             rows(0, 1, ok...),
		"token too large":   rows(0, 0, llama.Token(m.VocabSize())),
		"token negative":    rows(0, 0, -1),
		"sequence too high": rows(4, 0, ok...),
		"sequence negative": rows(-1, 0, ok...),
		"too many outputs": {{Token: 1, Output: true}, {Pos: 1, Token: 1, Output: true}, {Pos: 2, Token: 1, Output: true},
			{Pos: 3, Token: 1, Output: true}, {Pos: 4, Token: 1, Output: true}},
	}
	for name, r := range bad {
		require.ErrorIs(t, c.Decode(r), llama.ErrRows, name)
	}
	require.Zero(t, c.Len(0))
	require.ErrorIs(t, c.Remove(99), llama.ErrRows)
	require.NoError(t, c.Decode(rows(0, 0, ok...)))
	require.ErrorIs(t, c.Decode(rows(0, 0, ok...)), llama.ErrRows, "a rewind")
	require.NoError(t, c.Remove(0))
	require.NoError(t, c.Decode(rows(0, 0, ok...)), "the context still works")
}

func TestAFullPoolIsAnErrorAndNothingElse(t *testing.T) {
	m, c := open(t, small)
	_ = m
	for pos := 0; pos < 256; pos += 64 {
		require.NoError(t, c.Decode(rows(0, pos, make([]llama.Token, 64)...)))
	}
	require.Equal(t, 256, c.Len(0)+c.Len(1)+c.Len(2)+c.Len(3))
	require.ErrorIs(t, c.Decode(rows(1, 0, 5)), llama.ErrPoolFull)
	require.NoError(t, c.Remove(0))
	require.NoError(t, c.Decode(rows(1, 0, 5)))
}

func TestSamplingNeedsLogits(t *testing.T) {
	m, c := open(t, small)
	s, err := c.NewSampler(greedy)
	require.NoError(t, err)
	_, err = s.Sample(0)
	require.ErrorIs(t, err, llama.ErrRows, "before any step")
	require.NoError(t, c.Decode(rows(0, 0, tokens(t, m, "hello")...)))
	_, err = s.Sample(0)
	require.ErrorIs(t, err, llama.ErrRows, "a row that is no output")
	_, err = s.Sample(1000)
	require.ErrorIs(t, err, llama.ErrRows)
	s.Close()
	s.Close()
	_, err = s.Sample(0)
	require.ErrorIs(t, err, llama.ErrRows, "closed")
}

func TestBadParametersAreErrors(t *testing.T) {
	m, c := open(t, small)
	for name, p := range map[string]llama.SamplerParams{
		"temperature": {Temperature: -1, TopP: 1, RepeatPenalty: 1},
		"not finite":  {Temperature: math.Inf(1), TopP: 1, RepeatPenalty: 1},
		"nan":         {Temperature: math.NaN(), TopP: 1, RepeatPenalty: 1},
		"top_p":       {TopP: 0, RepeatPenalty: 1},
		"min_p":       {TopP: 1, MinP: 2, RepeatPenalty: 1},
		"repeat":      {TopP: 1},
		"window":      {TopP: 1, RepeatPenalty: 1.1, PenaltyWindow: 2_000_000_000},
		"no window":   {TopP: 1, RepeatPenalty: 1.1, PenaltyWindow: -1},
	} {
		_, err := c.NewSampler(p)
		require.Error(t, err, name)
	}
	for name, p := range map[string]llama.ContextParams{
		"KV type":          {Cells: 64, Rows: 64, Sequences: 1, KVType: "q9_9"},
		"no cells":         {Rows: 64, Sequences: 1, KVType: "f16"},
		"too many":         {Cells: 64, Rows: 999, Sequences: 300, KVType: "f16"},
		"rows < sequences": {Cells: 64, Rows: 2, Sequences: 3, KVType: "f16"},
	} {
		_, err := m.NewContext(p)
		require.Error(t, err, name)
	}
}

func TestTheSameSeedGivesTheSameTokens(t *testing.T) {
	m, c := open(t, small)
	prompt := tokens(t, m, "Samovar is")
	hot := llama.SamplerParams{Temperature: 1.5, TopK: 40, TopP: 0.95, RepeatPenalty: 1.1, PenaltyWindow: 64, Seed: 7}
	first := generate(t, c, 0, prompt, hot, 40)
	require.Equal(t, first, generate(t, c, 2, prompt, hot, 40), "on another sequence")
	hot.Seed = 8
	require.NotEqual(t, first, generate(t, c, 0, prompt, hot, 40))
	require.Equal(t, generate(t, c, 0, prompt, greedy, 40), generate(t, c, 1, prompt, greedy, 40))
}

func TestEveryKVTypeComputes(t *testing.T) {
	for _, kv := range llama.KVTypes() {
		p := small
		p.KVType = kv
		m, c := open(t, p)
		require.Len(t, generate(t, c, 0, tokens(t, m, "hello there"), greedy, 5), 5, kv)
	}
}

func TestModelFilesThatAreNone(t *testing.T) {
	_, err := model()
	require.NoError(t, err)
	lib, err := llama.Load("")
	require.NoError(t, err, "loaded already")
	garbage := filepath.Join(t.TempDir(), "garbage.gguf")
	require.NoError(t, os.WriteFile(garbage, []byte("not a model"), 0o600))
	for _, path := range []string{garbage, t.TempDir(), "/does/not/exist", "nul\x00byte"} {
		_, err := lib.OpenModel(llama.ModelParams{Path: path})
		require.ErrorIs(t, err, llama.ErrModel, path)
	}
}

func TestProgressAndCancelling(t *testing.T) {
	_, err := model()
	require.NoError(t, err)
	lib, _ := llama.Load("")
	var last float64
	m, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t), Progress: func(f float64) bool {
		require.GreaterOrEqual(t, f, last)
		last = f
		return true
	}})
	require.NoError(t, err)
	require.Equal(t, 1.0, last)
	m.Close()
	_, err = lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t), Progress: func(float64) bool { return false }})
	require.ErrorContains(t, err, "cancelled")
}

func TestAContextTakesItsThreadsAlong(t *testing.T) {
	count := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Skip("only Linux lists a process's threads in a folder")
		}
		return len(tasks)
	}
	open(t, small)
	before := count()
	for range 8 {
		m, c := open(t, llama.ContextParams{Cells: 64, Rows: 16, Sequences: 1, Threads: 9})
		require.GreaterOrEqual(t, count(), before+8)
		require.NoError(t, c.Decode(rows(0, 0, tokens(t, m, "tea")...)))
		c.Close()
	}
	require.Less(t, count(), before+8, "64 threads if they stayed")
}

// From the top of a row the same token is chosen as from all of it, whatever the seed.
func TestTheTopOfARowIsEnough(t *testing.T) {
	m, c := open(t, small)
	const top = 64
	prompt := tokens(t, m, "What can you do? I can")
	require.NoError(t, c.Decode(rows(0, 0, prompt...)))
	row := len(prompt) - 1
	logits, err := c.Logits(row)
	require.NoError(t, err)
	candidates := make([]llama.Candidate, len(logits))
	for i, v := range logits {
		candidates[i] = llama.Candidate{Token: llama.Token(i), Logit: v}
	}
	slices.SortStableFunc(candidates, func(a, b llama.Candidate) int { return cmp.Compare(b.Logit, a.Logit) })
	candidates = candidates[:top]
	seen := map[llama.Token]bool{}
	for seed := range uint32(200) {
		p := llama.SamplerParams{Temperature: 2, TopK: 1 + int(seed)%top, TopP: 0.99, MinP: 0.001, RepeatPenalty: 1.2, PenaltyWindow: 64, Seed: seed}
		if seed%10 == 0 {
			p.Temperature = 0
		}
		whole, err := c.NewSampler(p)
		require.NoError(t, err)
		part, err := c.NewSampler(p)
		require.NoError(t, err)
		want, err := whole.Sample(row)
		require.NoError(t, err)
		got, err := part.Choose(candidates)
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		// And the one after it: both have taken note of the same, and drawn as often.
		want, err = whole.Sample(row)
		require.NoError(t, err)
		got, err = part.Sample(row)
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		seen[got] = true
		whole.Close()
		part.Close()
	}
	require.Greater(t, len(seen), 10, "the seeds make a difference")

	s, err := c.NewSampler(greedy)
	require.NoError(t, err)
	defer s.Close()
	for _, bad := range [][]llama.Candidate{nil, {{Token: -1}}, {{Token: llama.Token(m.VocabSize())}}, {{Logit: float32(math.NaN())}}} {
		_, err := s.Choose(bad)
		require.Error(t, err)
	}
}
