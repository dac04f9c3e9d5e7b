package worker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/vfs"
	"samovar/engine/models/shape"
)

// kindLife is one worker's life with a model of some kind.
type kindLife struct {
	*rig
	model *llama.Model
	rec   *recorder
}

func startKind(t *testing.T, m *llama.Model, dir string, cells int) *kindLife {
	t.Helper()
	c, err := m.NewContext(llama.ContextParams{Cells: cells, Rows: 256, Sequences: 16, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	rec := &recorder{backend: backend{c}}
	r := newRig(t, llamatest.New(1, 64), 3)
	r.loop = newLoop(rec, endless{m}, sizes{
		cells: cells, sequences: 3, hot: 8, headroom: 64, cellBytes: 1000, skipCell: time.Microsecond,
		whole: m.Kind() != llama.KindAttention, stateOnly: m.Kind() == llama.KindRecurrent,
		steps: sched.Limits{MaxRows: 256, MinChunk: 16, ITLTarget: 50 * time.Millisecond},
	}, r.receive, func() {}, func(*ticket) {})
	r.loop.verify = true
	r.loop.probe, err = m.Tokenize(strings.Repeat(selfTestText, selfTestTokens), false)
	require.NoError(t, err)
	require.Nil(t, r.loop.firstCanary())
	s, err := store.Open(store.Config{Dir: dir, Fingerprint: keptRoot, Memory: 1 << 20, Queue: 1 << 30})
	require.NoError(t, err)
	r.loop.keepIn(&keptStore{store: s, root: keptRoot})
	require.NoError(t, r.loop.broken)
	require.True(t, r.loop.keep.on(), r.loop.keep.off)
	r.start()
	return &kindLife{rig: r, model: m, rec: rec}
}

func (l *kindLife) ask(id string, prompt []llama.Token, marks []int, n int) ([]llama.Token, infer.Usage) {
	l.t.Helper()
	j := makeJob(id, "", n)
	j.tokens, j.marks, j.sampling = slices.Clone(prompt), marks, llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
	l.loop.inbox <- j
	l.until(id+" ends", func() bool { return l.end[id] != nil || len(l.failed) > 0 })
	require.Empty(l.t, l.failed)
	return *l.rec.chosen[len(l.rec.chosen)-1], l.end[id].Usage
}

func (l *kindLife) die(kill bool) {
	l.stop()
	require.NoError(l.t, l.loop.broken)
	if kill {
		require.NoError(l.t, l.loop.keep.store.Close(l.t.Context()))
	} else {
		l.loop.saveAll(time.Minute)
	}
	require.Zero(l.t, l.loop.keep.disproved)
}

// prefillNoise is how far ahead a token may be that turns when a prompt is prefilled in
// other pieces: both of the two likeliest move by up to 0.05 sd (see maxDeviation).
const prefillNoise = 0.1

// TestKindsComeBack has three agents with a common system prompt take turns in a pool
// that is too small for all, through lives that end in different ways, with a model of
// each kind. At least 95 % of each prompt but the first must be reused, and what is
// answered must be what the prompt gives when it is prefilled.
func TestKindsComeBack(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	for _, name := range []string{"tiny", "swa", "mamba", "hybrid"} {
		t.Run(name, func(t *testing.T) {
			path, err := shape.Ensure(t.Context(), t.TempDir(), name, nil)
			require.NoError(t, err)
			m, err := lib.OpenModel(llama.ModelParams{Path: path})
			require.NoError(t, err)
			t.Cleanup(m.Close)
			fresh, err := m.NewContext(llama.ContextParams{Cells: 4096, Rows: 256, Sequences: 2, Threads: 1, KVType: "f16"})
			require.NoError(t, err)
			t.Cleanup(fresh.Close)
			rnd := rand.New(rand.NewPCG(5, 6))
			words := func(n int) []llama.Token {
				out := make([]llama.Token, n)
				for i := range out {
					out[i] = llama.Token(1 + rnd.IntN(250))
				}
				return out
			}
			const agents, n = 3, 12
			dir := t.TempDir()
			system := words(1700)
			history := make([][]llama.Token, agents)
			prompts, reused, answers, turned := 0, 0, 0, 0
			gaps := []float64{0}
			for life := range 4 {
				w := startKind(t, m, dir, 4096)
				for turn := range 6 {
					agent := turn % agents
					first := history[agent] == nil
					if first {
						history[agent] = slices.Clone(system)
					}
					history[agent] = append(history[agent], words(40)...)
					question := len(history[agent])
					prompt := append(slices.Clone(history[agent]), 7, 8, 9) // as a template opens the answer
					got, u := w.ask(fmt.Sprint(life, ".", turn), prompt, []int{len(system), question}, n)
					want := plain(t, fresh, [][]llama.Token{prompt}, n)[0]
					answers++
					if gap, differs := gapAt(t, want, got); differs {
						turned, gaps = turned+1, append(gaps, gap)
					}
					// Every other answer is rendered in another way than it was sampled.
					if rnd.IntN(2) == 0 {
						got = words(n)
					}
					history[agent] = append(prompt, got...)
					if life > 0 || turn > 0 {
						prompts, reused = prompts+u.PromptTokens, reused+u.CachedTokens
					}
				}
				w.die(life%2 == 1)
				if name != "tiny" {
					require.Positive(t, w.loop.keep.proven)
				}
			}
			t.Logf("%d of %d prompt tokens reused (%.1f %%); noise turned %d of %d answers, the largest gap %.3f sd",
				reused, prompts, 100*float64(reused)/float64(prompts), turned, answers, slices.Max(gaps))
			require.Greater(t, float64(reused), 0.95*float64(prompts))
			require.LessOrEqual(t, slices.Max(gaps), prefillNoise)
		})
	}
}

// A model whose state does not come back as it was is not kept, and says why.
func TestAStateThatDoesNotComeBackIsNotKept(t *testing.T) {
	r := newRig(t, llamatest.New(3000, 64), 4)
	r.loop.backend = forgetful{fakeBackend{r.fake}}
	r.loop.probe = make([]llama.Token, selfTestTokens+1)
	r.loop.keepIn(keepTo(t, vfs.NewMem()))
	require.NoError(t, r.loop.broken)
	require.False(t, r.loop.keep.on())
	require.Contains(t, r.loop.keep.off, "does not come back as it was")
	require.Zero(t, r.fake.Used())
}

// forgetful puts other tokens back than it took.
type forgetful struct{ fakeBackend }

func (f forgetful) Take(seq, from, to int) ([]byte, error) {
	data, err := f.fakeBackend.Take(seq, from, to)
	data[0]++
	return data, err
}
