package worker

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

// noise is the largest gap between the two likeliest tokens, in standard deviations
// of the logits, at which the kernels' own noise may turn the choice: they move by up
// to 0.01 with cell placement and batch shape (ENGINE.md §1), each of the two.
const noise = 0.02

// answer is a greedy continuation with the gap at each token.
type answer struct {
	tokens []llama.Token
	gaps   []float64
	first  []float32 // the logits of the first token
}

// plain decodes prompts greedily in one batch, with nothing of ours in the way.
func plain(t *testing.T, c *llama.Context, prompts [][]llama.Token, n int) []answer {
	answers := make([]answer, len(prompts))
	choose := func(seq, row int) {
		logits, err := c.Logits(row)
		require.NoError(t, err)
		if answers[seq].first == nil {
			answers[seq].first = slices.Clone(logits)
		}
		best, gap := topTwo(logits)
		answers[seq].tokens = append(answers[seq].tokens, best)
		answers[seq].gaps = append(answers[seq].gaps, gap)
	}
	for seq, p := range prompts {
		rows := make([]llama.Row, len(p))
		for i, token := range p {
			rows[i] = llama.Row{Seq: seq, Pos: i, Token: token, Output: i == len(p)-1}
		}
		var last []llama.Row
		for chunk := range slices.Chunk(rows, c.Params().Rows) {
			require.NoError(t, c.Decode(chunk))
			last = chunk
		}
		choose(seq, len(last)-1)
	}
	for i := range n - 1 {
		rows := make([]llama.Row, len(prompts))
		for seq, p := range prompts {
			rows[seq] = llama.Row{Seq: seq, Pos: len(p) + i, Token: answers[seq].tokens[i], Output: true}
		}
		require.NoError(t, c.Decode(rows))
		for seq := range prompts {
			choose(seq, seq)
		}
	}
	for seq := range prompts {
		require.NoError(t, c.Remove(seq))
	}
	return answers
}

func topTwo(logits []float32) (best llama.Token, gap float64) {
	sum, squares := 0.0, 0.0
	first, second := math.Inf(-1), math.Inf(-1)
	for i, l := range logits {
		v := float64(l)
		sum, squares = sum+v, squares+v*v
		switch {
		case v > first:
			first, second, best = v, first, llama.Token(i)
		case v > second:
			second = v
		}
	}
	n := float64(len(logits))
	return best, (first - second) / math.Sqrt(squares/n-sum/n*sum/n)
}

// recorder keeps what each sampler chooses, in the order of their making.
type recorder struct {
	backend
	chosen []*[]llama.Token
}

type recordingSampler struct {
	Sampler
	to *[]llama.Token
}

func (r *recorder) NewSampler(p llama.SamplerParams, chosen []llama.Token) (Sampler, error) {
	s, err := r.backend.NewSampler(p, chosen)
	r.chosen = append(r.chosen, new([]llama.Token))
	return recordingSampler{s, r.chosen[len(r.chosen)-1]}, err
}

func (s recordingSampler) Sample(row int) (llama.Token, error) {
	t, err := s.Sampler.Sample(row)
	*s.to = append(*s.to, t)
	return t, err
}

func (s recordingSampler) Choose(candidates []llama.Candidate) (llama.Token, error) {
	t, err := s.Sampler.Choose(candidates)
	*s.to = append(*s.to, t)
	return t, err
}

// endless never ends a turn, so that all answers are equally long.
type endless struct{ *llama.Model }

func (endless) IsEnd(llama.Token) bool { return false }

// throughLoop decodes prompts greedily at once through the loop.
func throughLoop(t *testing.T, m *llama.Model, c *llama.Context, prompts [][]llama.Token, n int) [][]llama.Token {
	rec := &recorder{backend: backend{c}}
	r := newRig(t, llamatest.New(1, 64), len(prompts))
	r.loop = newLoop(rec, endless{m}, sizes{
		cells: c.Params().Cells, sequences: 8, hot: 8, headroom: 1000, cellBytes: 1000, skipCell: time.Microsecond,
		// Steps are made up the same way however busy the machine is.
		steps: sched.Limits{MaxRows: c.Params().Rows, MinChunk: 8, ITLTarget: time.Minute},
	}, r.receive, func() {}, func(*ticket) {})
	for i, p := range prompts {
		j := makeJob(fmt.Sprint(i), "", n)
		j.tokens, j.sampling = p, llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
		r.loop.inbox <- j
	}
	r.start()
	r.until("all end", func() bool { return len(r.end)+len(r.failed) == len(prompts) })
	require.Empty(t, r.failed)
	r.loop.measures <- wire.Measure{Rows: 1, Tokens: 2, PromptTokens: 1} // empties the pool
	r.until("the pool is empty", func() bool { return r.level.Pool.Used == 0 && r.level.Active == 0 })
	r.stop()
	out := make([][]llama.Token, len(prompts))
	for i, tokens := range rec.chosen[:len(prompts)] { // the raw loop has samplers, too
		out[i] = *tokens
	}
	return out
}

// TestSameness compares greedy answers computed alone with those computed beside
// seven others, by a plain batch loop and by ours. At the first difference the two
// likeliest tokens must be within the kernels' noise.
func TestSameness(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	m, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
	require.NoError(t, err)
	defer m.Close()
	c, err := m.NewContext(llama.ContextParams{Cells: 12288, Rows: 512, Sequences: 16, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	defer c.Close()

	const answers, n, groups = 8, 100, 4
	ours, raws, total := 0, 0, 0
	for g := range groups {
		system := ""
		if g == groups-1 { // a long common beginning, which the loop computes once
			system = strings.Repeat("You are a kind guide who likes tea and says little. ", 40)
		}
		var prompts [][]llama.Token
		for i := range answers {
			tokens, err := m.Tokenize(fmt.Sprintf("%sQuestion %d of %d: what is a samovar good for, besides tea? My number is %d.", system, i, g, i*i+g), false)
			require.NoError(t, err)
			prompts = append(prompts, tokens)
		}
		together, through := plain(t, c, prompts, n), throughLoop(t, m, c, prompts, n)
		for i, p := range prompts {
			alone := plain(t, c, [][]llama.Token{p}, n)[0]
			total++
			raws += differs(t, "plain batch", alone, together[i].tokens)
			ours += differs(t, "our loop", alone, through[i])
		}
	}
	t.Logf("of %d answers of %d tokens, noise turned %d in a plain batch and %d in our loop", total, n, raws, ours)
	require.LessOrEqual(t, ours, raws+1, "ours adds nothing to the kernels' own noise")
}

// differs is 1 if got is another answer than want, for no other reason than noise.
func differs(t *testing.T, who string, want answer, got []llama.Token) int {
	t.Helper()
	gap, differs := gapAt(t, want, got)
	if !differs {
		return 0
	}
	require.LessOrEqual(t, gap, noise, "%s: a token differs, and was %.3f sd ahead", who, gap)
	return 1
}

// gapAt is the gap where got begins to differ from want, if it does.
func gapAt(t *testing.T, want answer, got []llama.Token) (gap float64, differs bool) {
	t.Helper()
	require.Len(t, got, len(want.tokens))
	for at, token := range want.tokens {
		if got[at] != token {
			return want.gaps[at], true
		}
	}
	return 0, false
}
