package worker

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/vfs"
)

var keptRoot = blockfile.Fingerprint{KeyType: "f16"}.ID()

func keepTo(t *testing.T, fs vfs.FS) *keptStore {
	t.Helper()
	s, err := store.Open(store.Config{Dir: "/kv", FS: fs, Fingerprint: keptRoot, Memory: 1 << 30, Queue: 1 << 30})
	require.NoError(t, err)
	return &keptStore{store: s, root: keptRoot}
}

// fakeLife is one worker's life on a fake with a store.
func fakeLife(t *testing.T, fs vfs.FS, cells int) *rig {
	r := newRig(t, llamatest.New(cells, 64), 4)
	r.loop.keepIn(keepTo(t, fs))
	r.start()
	return r
}

func (r *rig) ask(id, prompt string, n int) (text string, cached int) {
	r.t.Helper()
	r.loop.inbox <- makeJob(id, prompt, n)
	r.until(id+" ends", func() bool { return r.end[id] != nil || len(r.failed) > 0 })
	require.Empty(r.t, r.failed)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text[id], r.end[id].Usage.CachedTokens
}

func TestAPromptComesBackAfterARestart(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 130) // 1040 tokens: four blocks and 16
	r := fakeLife(t, fs, 3000)
	text, cached := r.ask("first", prompt, 100)
	require.Equal(t, alone(prompt, 100), text)
	require.Zero(t, cached)
	r.stop()
	r.loop.saveAll(time.Minute)
	require.EqualValues(t, 1040+99, r.loop.keep.saved)

	r = fakeLife(t, fs, 3000)
	again, cached := r.ask("again", prompt, 100)
	require.Equal(t, text, again)
	require.Equal(t, 1040, cached, "the logits after the last token are kept, too")
	longer := prompt + text[:99] + " and then?"
	next, cached := r.ask("next", longer, 50)
	require.Equal(t, alone(longer, 50), next)
	require.Equal(t, 1040+99, cached)
	r.stop()
	require.EqualValues(t, 0, r.loop.keep.disproved)
	r.loop.saveAll(time.Minute)

	r = fakeLife(t, fs, 3000)
	other := prompt[:900] + "something else"
	text, cached = r.ask("other", other, 20)
	require.Equal(t, alone(other, 20), text)
	require.Equal(t, 900, cached, "a block is used in part, too")
	text, cached = r.ask("next", longer, 50)
	require.Equal(t, next, text)
	require.Equal(t, len(longer), cached)
	r.stop()
	require.Positive(t, r.loop.keep.proven)
	r.loop.saveAll(time.Minute)
}

func TestNothingIsKeptTwice(t *testing.T) {
	fs := vfs.NewMem()
	r := fakeLife(t, fs, 6000)
	system := strings.Repeat("be kind. ", 60) // 540
	for i := range 6 {
		r.ask(fmt.Sprint(i), system+strings.Repeat(fmt.Sprint(i), 300), 10)
	}
	r.stop()
	r.loop.saveAll(time.Minute)
	// Two common blocks, one block each, and six tails.
	require.EqualValues(t, 2*256+6*256+6*(840+9-768), r.loop.keep.saved)
}

func TestEvictedSequencesComeBack(t *testing.T) {
	r := fakeLife(t, vfs.NewMem(), 1500) // two of these fit
	prompts := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		prompts[name] = strings.Repeat(name+" ", 300)
	}
	for round := range 4 {
		for _, name := range []string{"a", "b", "c", "d"} {
			text, cached := r.ask(fmt.Sprint(name, round), prompts[name], 20)
			require.Equal(t, alone(prompts[name], 20), text)
			if round > 0 {
				require.Equal(t, 600, cached, "%s in round %d", name, round)
			}
			prompts[name] += text[:10] + strings.Repeat("x", 600)
			prompts[name] = prompts[name][:600]
		}
	}
	r.stop()
	require.Positive(t, r.level.Pool.Evictions)
	r.loop.saveAll(time.Minute)
}

// stepRows notes how many rows each step has.
type stepRows struct {
	Backend
	rows []int
}

func (b *stepRows) Decode(rows []llama.Row) error {
	b.rows = append(b.rows, len(rows))
	return b.Backend.Decode(rows)
}

// The logits after a prompt's last token are kept, wherever in a block it is, so that
// a prompt that comes back is proven with the row that is sampled from.
func TestAPromptIsProvenByItsOwnEnd(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 150) // 1200
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 100) // which fills the block that the prompt ends in
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(3000, 64), 4)
	b := &stepRows{Backend: r.loop.backend}
	r.loop.backend = b
	r.loop.keepIn(keepTo(t, fs))
	r.start()
	text, cached := r.ask("again", prompt, 3)
	require.Equal(t, alone(prompt, 3), text)
	require.Equal(t, 1200, cached)
	longer := prompt + alone(prompt, 3) + "?"
	text, _ = r.ask("hot", longer, 3)
	require.Equal(t, alone(longer, 3), text)
	r.stop()
	require.Equal(t, []int{1, 1, 1}, b.rows[:3], "one row to prove it, alone; the first token was kept")
	require.EqualValues(t, 1, r.loop.keep.proven)
	require.Zero(t, r.loop.keep.unproven)
	r.loop.saveAll(time.Minute)
}

// Payloads that were altered, and whose checksums were made to fit, are found out by
// the logits that come of them.
func TestWrongStateIsFoundOut(t *testing.T) {
	for name, rest := range map[string]string{
		"proven by the last block": "?",
		"proven by its own end":    strings.Repeat("and more ", 10),
	} {
		t.Run(name, func(t *testing.T) { wrongStateIsFoundOut(t, rest) })
	}
}

func wrongStateIsFoundOut(t *testing.T, rest string) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 128)
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt+rest, 3)
	r.stop()
	r.loop.saveAll(time.Minute)

	kept := keepTo(t, fs)
	tokens, _ := (*llamatest.Fake)(nil).Tokenize(prompt+rest+r.text["first"], true)
	m := kept.store.Longest(keptRoot, tokens)
	b, _, err := kept.store.Get(m[1].ID, nil)
	require.NoError(t, err)
	_, err = kept.store.Forget(keptRoot, tokens, 0)
	require.NoError(t, err)
	blocks := []blockfile.Block{}
	for _, p := range m {
		again, _, err := r.loop.keep.store.Get(p.ID, nil) // from memory
		require.NoError(t, err)
		blocks = append(blocks, again)
	}
	b = blocks[1]
	b.Payload = append([]byte(nil), b.Payload...)
	b.Payload[100] ^= 3
	blocks[1] = b
	for _, b := range blocks {
		require.True(t, kept.store.Put(b))
	}
	require.NoError(t, kept.store.Close(t.Context()))

	r = fakeLife(t, fs, 3000)
	text, cached := r.ask("again", prompt+rest, 40)
	require.Equal(t, alone(prompt+rest, 40), text)
	r.stop()
	require.Zero(t, cached, "what was wrong is computed")
	require.EqualValues(t, 1, r.loop.keep.disproved)
	require.EqualValues(t, len(m), r.loop.keep.status().Rejected["logits"])
	r.loop.saveAll(time.Minute)
}

func TestBrokenFilesArePrefilled(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 200)
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 3)
	r.stop()
	r.loop.saveAll(time.Minute)
	tokens, _ := (*llamatest.Fake)(nil).Tokenize(prompt, true)
	id := blockfile.Chain(keptRoot, tokens)[2].String()
	require.NoError(t, fs.Flip("/kv/"+id[:2]+"/"+id+".kv", 1500, 1))

	r = fakeLife(t, fs, 3000)
	text, cached := r.ask("again", prompt, 40)
	require.Equal(t, alone(prompt, 40), text)
	require.InDelta(t, 512, cached, 1)
	r.stop()
	require.EqualValues(t, 1, r.loop.keep.status().Rejected["payload_checksum"])
	r.loop.saveAll(time.Minute)
}

func TestARequestThatIsCancelledWhileItIsRestored(t *testing.T) {
	mem := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 200)
	r := fakeLife(t, mem, 3000)
	r.ask("first", prompt, 3)
	r.stop()
	r.loop.saveAll(time.Minute)

	reading, release := make(chan struct{}, 100), make(chan struct{})
	fs := vfs.Inject(mem, func(op vfs.Op, name string) error {
		if op == vfs.OpRead && strings.HasSuffix(name, ".kv") {
			select {
			case reading <- struct{}{}:
			default:
			}
			<-release
		}
		return nil
	})
	r = newRig(t, llamatest.New(3000, 64), 4)
	close(release) // opening reads, too
	kept := keepTo(t, fs)
	release = make(chan struct{})
	r.loop.keepIn(kept)
	r.start()
	for len(reading) > 0 {
		<-reading
	}
	j := makeJob("again", prompt, 3)
	j.onCancel = r.loop.cancel
	r.loop.inbox <- j
	<-reading
	text, _ := r.ask("other", "something short", 5)
	require.Equal(t, alone("something short", 5), text, "nobody waits for another's disk")
	j.cancel()
	r.until("it is gone", func() bool { return r.level.Active == 0 && r.level.Queued == 0 })
	close(release)
	r.stop()
	r.loop.saveAll(time.Minute)
}

// neverLeft keeps the sequence of each agent in its pool for ever.
type neverLeft struct {
	*llama.Context
	held [][]llama.Token
}

// answer continues a prompt greedily, of which it computes what is new.
func (c *neverLeft) answer(t *testing.T, seq int, prompt []llama.Token, n int) (a answer) {
	have := min(kv.CommonPrefix(c.held[seq], prompt), len(prompt)-1)
	require.NoError(t, c.Truncate(seq, have))
	row := 0
	for at := have; at < len(prompt); {
		var rows []llama.Row
		for ; at < len(prompt) && len(rows) < c.Params().Rows; at++ {
			rows = append(rows, llama.Row{Seq: seq, Pos: at, Token: prompt[at], Output: at == len(prompt)-1})
		}
		require.NoError(t, c.Decode(rows))
		row = len(rows) - 1
	}
	c.held[seq] = slices.Clone(prompt)
	for {
		logits, err := c.Logits(row)
		require.NoError(t, err)
		if a.first == nil {
			a.first = slices.Clone(logits)
		}
		token, gap := topTwo(logits)
		a.tokens, a.gaps = append(a.tokens, token), append(a.gaps, gap)
		if len(a.tokens) == n {
			return a
		}
		require.NoError(t, c.Decode([]llama.Row{{Seq: seq, Pos: len(c.held[seq]), Token: token, Output: true}}))
		c.held[seq], row = append(c.held[seq], token), 0
	}
}

// TestKeptProperties runs agents through lives that end in different ways, on the real
// engine. Each continuation must be what a life that never ended gives.
func TestKeptProperties(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	model, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
	require.NoError(t, err)
	defer model.Close()
	const lives, turns, agents, n = 12, 10, 6, 24
	rnd := rand.New(rand.NewPCG(21, 22))
	never, err := model.NewContext(llama.ContextParams{Cells: 2048 * agents, Rows: 512, Sequences: agents, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	defer never.Close()
	scratch, err := model.NewContext(llama.ContextParams{Cells: 2048, Rows: 512, Sequences: agents, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	defer scratch.Close()
	reference := &neverLeft{never, make([][]llama.Token, agents)}

	system := strings.Repeat("You are the guide of a tea house, and kind to all who ask. ", 20)
	history, asked := make([][]llama.Token, agents), make([][]llama.Token, agents)
	for i := range history {
		text := system
		if i%3 == 2 {
			text = fmt.Sprint("Another beginning, ", i, ". ") + system
		}
		history[i], err = model.Tokenize(text, false)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	open := func() *keptStore {
		s, err := store.Open(store.Config{Dir: dir, Fingerprint: keptRoot, Memory: 1 << 20, Queue: 1 << 30})
		require.NoError(t, err)
		return &keptStore{store: s, root: keptRoot}
	}
	measured, gaps := 0.0, []float64{0}
	prompts, computed, raw, noisy, answers, opened := 0, 0, 0, 0, 0, uint64(0)
	for life := range lives {
		c, err := model.NewContext(llama.ContextParams{Cells: 2048, Rows: 256, Sequences: 16, Threads: 1, KVType: "f16"})
		require.NoError(t, err)
		rec := &recorder{backend: backend{c}}
		r := newRig(t, llamatest.New(1, 64), 3)
		r.loop = newLoop(rec, endless{model}, sizes{
			cells: 2048, sequences: 3, hot: 8, headroom: 64, cellBytes: 1000, skipCell: time.Microsecond,
			steps: sched.Limits{MaxRows: 256, MinChunk: 16, ITLTarget: 50 * time.Millisecond},
		}, r.receive, func() {}, func(*ticket) {})
		r.loop.verify = true
		r.loop.keepIn(open())
		r.start()
		for turn := range turns {
			agent := rnd.IntN(agents)
			more, err := model.Tokenize(fmt.Sprintf("Question %d.%d: what goes with tea number %d?", life, turn, rnd.IntN(100)), false)
			require.NoError(t, err)
			history[agent] = append(history[agent], more...)
			if len(history[agent]) > 1500 {
				history[agent] = history[agent][:300]
			}
			if asked[agent] != nil && rnd.IntN(3) == 0 { // the same once more
				history[agent] = slices.Clone(asked[agent])
			}
			asked[agent] = slices.Clone(history[agent])
			id := fmt.Sprint(life, ".", turn)
			j := makeJob(id, "", n)
			j.tokens, j.sampling = append([]llama.Token(nil), history[agent]...), llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
			r.loop.inbox <- j
			r.until(id+" ends", func() bool { return r.end[id] != nil || len(r.failed) > 0 })
			require.Empty(t, r.failed)
			got := *rec.chosen[len(rec.chosen)-1]
			alone := plain(t, scratch, [][]llama.Token{asked[agent]}, n)[0]
			want := reference.answer(t, agent, asked[agent], n)
			measured = max(measured, deviation(alone.first, digest(want.first)[:2]))
			if gap, differs := gapAt(t, want, alone.tokens); differs {
				raw, gaps = raw+1, append(gaps, gap)
			}
			if gap, differs := gapAt(t, want, got); differs {
				noisy, gaps = noisy+1, append(gaps, gap)
			}
			history[agent] = append(history[agent], got[:n-1]...)
			u := r.end[id].Usage
			prompts, computed, answers = prompts+u.PromptTokens, computed+u.PromptTokens-u.CachedTokens, answers+1
		}
		r.stop()
		require.NoError(t, r.loop.broken)
		opened += r.loop.keep.opened
		switch life % 3 {
		case 0: // an orderly end
			r.loop.saveAll(time.Minute)
		case 1: // killed: what is queued and the ragged ends are lost
			done, cancel := context.WithCancel(t.Context())
			cancel()
			_ = r.loop.keep.store.Close(done)
		case 2: // killed when all was written
			require.NoError(t, r.loop.keep.store.Close(t.Context()))
		}
		require.Zero(t, r.loop.keep.disproved)
		c.Close()
	}
	require.Greater(t, opened, uint64(answers/5), "those that were asked once more")
	t.Logf("%d answers in %d lives, %d of them opened: %d of %d prompt tokens computed, noise turned %d answers, and %d of the same prompts prefilled whole", answers, lives, opened, computed, prompts, noisy, raw)
	// What the same prompt's logits differ by when it is prefilled whole, which is
	// nothing of ours, is the noise here; both of the two likeliest have it.
	t.Logf("the largest gap that turned was %.3f sd; the kernels move a logit by up to %.3f sd", slices.Max(gaps), measured)
	require.LessOrEqual(t, slices.Max(gaps), 2*measured)
	require.Less(t, computed, prompts/4)
	// Two counts of the same noise differ by less than twice the deviation of both.
	require.Less(t, float64(noisy), float64(raw)+2*math.Sqrt(float64(noisy+raw))+1, "keeping adds nothing to the kernels' own noise")
}
