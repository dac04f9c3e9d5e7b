package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/vfs"
	"samovar/engine/internal/wire"
	"samovar/engine/models/shape"
)

// healthLife is a life with a canary, whose answers and log are kept.
type healthLife struct {
	*rig
	answers chan wire.Answer
	logged  atomic.Int32
}

// prepareHealth readies a life; nil fs keeps nothing.
func prepareHealth(t *testing.T, fake *llamatest.Fake, sequences int, fs vfs.FS) *healthLife {
	t.Helper()
	l := &healthLife{rig: newRig(t, fake, sequences), answers: make(chan wire.Answer, 16)}
	l.hear()
	l.loop.probe, _ = fake.Tokenize(strings.Repeat(selfTestText, 10), false)
	require.Nil(t, l.loop.firstCanary())
	require.Zero(t, fake.Used())
	if fs != nil {
		l.loop.keepIn(keepTo(t, fs))
	}
	return l
}

// hear takes what the loop answers and logs.
func (l *healthLife) hear() {
	send := l.loop.send
	l.loop.send = func(k wire.Kind, v any) {
		if a, ok := v.(wire.Answer); ok {
			l.answers <- a
			return
		}
		send(k, v)
	}
	l.loop.keep.log = slog.New(logHandler{send: func(wire.Kind, any) { l.logged.Add(1) }})
}

func (l *healthLife) askCanary() {
	l.loop.queries <- wire.Query{ID: "c", Op: wire.OpCanary}
	l.loop.poke()
}

func (l *healthLife) canary() (c infer.Canary, failed *infer.Error) {
	l.t.Helper()
	l.askCanary()
	select {
	case a := <-l.answers:
		if a.Error == nil {
			require.NoError(l.t, json.Unmarshal(a.Body, &c))
		}
		return c, a.Error
	case <-time.After(20 * time.Second):
		l.t.Fatal("no canary")
	}
	return c, nil
}

// health is how the loop said that it is.
func (l *healthLife) health() infer.Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.level.Health
}

// dies waits until the loop has ended by itself.
func (l *healthLife) dies() error {
	l.t.Helper()
	select {
	case err := <-l.ended:
		l.ended <- nil // for stop
		require.Zero(l.t, l.fake.Open())
		return err
	case <-time.After(20 * time.Second):
		l.t.Fatal("the loop goes on")
	}
	return nil
}

func (l *healthLife) close() {
	l.stop()
	require.NoError(l.t, l.loop.broken)
	l.loop.saveAll(time.Minute)
}

// kept is how much of a prompt is on disk for the next life.
func kept(t *testing.T, fs vfs.FS, prompt string) int {
	t.Helper()
	s := keepTo(t, fs)
	tokens, _ := (*llamatest.Fake)(nil).Tokenize(prompt, true)
	n := s.store.Longest(keptRoot, tokens).Tokens()
	require.NoError(t, s.store.Close(t.Context()))
	return n
}

// closeStore closes the store of a loop that has ended, as the process's end does.
func (l *healthLife) closeStore() {
	require.NoError(l.t, l.loop.keep.store.Close(l.t.Context()))
}

func beginsWith(history []llama.Token, prompt string) bool {
	if len(history) < len(prompt) {
		return false
	}
	for i := range len(prompt) {
		if history[i] != llama.Token(prompt[i]) {
			return false
		}
	}
	return true
}

func TestTheCanaryIsRightBesideOthers(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) {
			l := prepareHealth(t, llamatest.New(1000, 32), 3, nil)
			l.loop.sizes.whole = whole
			l.start()
			first, failed := l.canary()
			require.Nil(t, failed)
			require.Zero(t, first.Deviation)
			for i := range 6 {
				l.loop.inbox <- makeJob(fmt.Sprint(i), fmt.Sprint("prompt ", i), 250)
				c, failed := l.canary()
				require.Nil(t, failed)
				require.Zero(t, c.Deviation)
				require.Positive(t, c.Took)
			}
			l.until("all end", func() bool { return len(l.end) == 6 })
			for i := range 6 {
				require.Equal(t, alone(fmt.Sprint("prompt ", i), 250), l.text[fmt.Sprint(i)])
			}
			l.idle()
			l.stop()
			require.NoError(t, l.loop.broken)
			require.EqualValues(t, 8, l.loop.health.Canaries)
			require.Positive(t, l.level.Health.Canaries)
		})
	}
}

func TestTheCanaryTakesTheRoomOfWhoIdles(t *testing.T) {
	l := prepareHealth(t, llamatest.New(60, 32), 1, nil)
	l.start()
	l.ask("first", strings.Repeat("x", 50), 9)
	_, failed := l.canary()
	require.Nil(t, failed)
	l.stop()
	require.EqualValues(t, 1, l.loop.pool.Evictions())
	require.Zero(t, l.loop.pool.Used())
}

func TestTheCanaryWaitsForWhoRuns(t *testing.T) {
	fake := llamatest.New(60, 64)
	l := prepareHealth(t, fake, 1, nil)
	running, goOn := make(chan struct{}), make(chan struct{})
	fake.Next = func(h []llama.Token) llama.Token {
		if len(h) == 55 {
			close(running)
			<-goOn
		}
		return llamatest.Hash(h)
	}
	l.start()
	l.loop.inbox <- makeJob("first", strings.Repeat("x", 54), 6)
	<-running
	l.askCanary()
	close(goOn)
	a := <-l.answers
	require.Nil(t, a.Error)
	l.mu.Lock()
	require.NotNil(t, l.end["first"], "it was done first")
	l.mu.Unlock()
	l.stop()
}

func TestAnEngineThatComputesNonsenseIsNotReady(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func([]llama.Token, []float32)
		fail  error
		says  string
	}{
		"not numbers": {func(_ []llama.Token, logits []float32) { logits[7] = float32(math.NaN()) }, nil, "not numbers"},
		"infinite":    {func(_ []llama.Token, logits []float32) { logits[7] = float32(math.Inf(1)) }, nil, "not numbers"},
		"all equal":   {func(_ []llama.Token, logits []float32) { clear(logits) }, nil, "equally likely"},
		"no result":   {nil, llama.ErrCompute, "failed to compute"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := llamatest.New(100, 32)
			r := newRig(t, fake, 2)
			r.loop.probe, _ = fake.Tokenize(selfTestText, false)
			fake.Spoil, fake.Fail = c.spoil, func() error { return c.fail }
			failed := r.loop.firstCanary()
			require.NotNil(t, failed)
			require.Contains(t, failed.Reason, "The engine computes nonsense")
			require.Contains(t, failed.Reason, c.says)
			require.NotEmpty(t, failed.Hint)
		})
	}
}

// A canary that is wrong ends the loop, and what was saved since the last right one is
// not used again.
func TestAWrongCanaryEndsTheLoop(t *testing.T) {
	fs := vfs.NewMem()
	fake := llamatest.New(5000, 64)
	l := prepareHealth(t, fake, 2, fs)
	var broken atomic.Bool
	fake.Spoil = func(_ []llama.Token, logits []float32) {
		if broken.Load() {
			logits[0], logits[1], logits[2] = 9, 9, 9
			for i := range logits[3:] {
				logits[3+i] = -logits[3+i]
			}
		}
	}
	fake.Next = func(h []llama.Token) llama.Token {
		if beginsWith(h, "some prompt") && len(h) == 20 {
			l.askCanary()
		}
		return llamatest.Hash(h)
	}
	l.start()
	before, after := strings.Repeat("before ", 100), strings.Repeat("after ", 100)
	l.ask("before", before, 3)
	_, failed := l.canary()
	require.Nil(t, failed)
	broken.Store(true)
	l.ask("after", after, 3)
	l.loop.inbox <- makeJob("running", "some prompt", 4000)
	a := <-l.answers
	require.NotNil(t, a.Error)
	require.Contains(t, a.Error.Message, "standard deviations off")
	err := l.dies()
	require.ErrorIs(t, err, errCanary)
	require.Regexp(t, `^the canary came out wrong: [0-9.]+ standard deviations off$`, err.Error())
	require.Nil(t, l.end["running"], "it goes on elsewhere")
	require.Empty(t, l.failed)
	l.closeStore()
	require.Equal(t, 512, kept(t, fs, before))
	require.Zero(t, kept(t, fs, after))
}

// spoilBehind has the logits behind a prompt be no numbers, once it is armed.
func spoilBehind(fake *llamatest.Fake, prompt string, place int) (armed *atomic.Bool) {
	armed = &atomic.Bool{}
	fake.Spoil = func(history []llama.Token, logits []float32) {
		if armed.Load() && beginsWith(history, prompt) {
			logits[place] = float32(math.NaN())
		}
	}
	return armed
}

// Logits that are no numbers end the loop. What the sequence had from disk is put aside;
// others keep what they have.
func TestLogitsThatAreNoNumbersEndTheLoop(t *testing.T) {
	bad, good := "Be kind. "+strings.Repeat("bad ", 150), "Be kind. "+strings.Repeat("good ", 150)
	fs := vfs.NewMem()
	l := prepareHealth(t, llamatest.New(5000, 64), 3, fs)
	l.start()
	l.ask("bad", bad, 3)
	l.ask("good", good, 3)
	l.close()

	fake := llamatest.New(5000, 64)
	l = prepareHealth(t, fake, 3, fs)
	armed := spoilBehind(fake, bad, 0)
	armed.Store(true)
	fresh := strings.Repeat("c", 256) + strings.Repeat("more ", 10)
	l.loop.inbox <- makeJob("good", good, 4000)
	l.start()
	l.until("it runs", func() bool { return l.text["good"] != "" })
	l.loop.inbox <- makeJob("bad", bad, 10)
	err := l.dies()
	require.ErrorIs(t, err, llama.ErrLogits)
	require.Contains(t, err.Error(), "the logits are not numbers")
	require.Empty(t, l.text["bad"])
	require.Empty(t, l.failed, "they go on elsewhere")
	l.closeStore()
	require.Equal(t, 9, kept(t, fs, bad), "what others begin with, too")
	require.GreaterOrEqual(t, kept(t, fs, good), 750)

	fake = llamatest.New(5000, 64)
	l = prepareHealth(t, fake, 3, fs)
	armed = spoilBehind(fake, fresh, 0)
	l.start()
	text, cached := l.ask("bad", bad, 10)
	require.Equal(t, alone(bad, 10), text)
	require.Zero(t, cached, "it is prefilled")
	armed.Store(true)
	l.loop.inbox <- makeJob("fresh", fresh, 10)
	require.ErrorIs(t, l.dies(), llama.ErrLogits)
	l.closeStore()
	require.Less(t, kept(t, fs, fresh), 257, "nothing of what was computed with it")
}

// When all logits are no numbers, it is the engine, and no conversation pays for it.
func TestWhatIsKeptIsNotBlamedForTheEngine(t *testing.T) {
	one, two := strings.Repeat("one ", 150), strings.Repeat("two ", 150)
	fs := vfs.NewMem()
	l := prepareHealth(t, llamatest.New(5000, 64), 3, fs)
	l.start()
	l.ask("one", one, 3)
	l.ask("two", two, 3)
	l.close()

	fake := llamatest.New(5000, 64)
	l = prepareHealth(t, fake, 3, fs)
	armed := spoilBehind(fake, "", 0)
	var oneRuns, twoRuns bool
	fake.Next = func(h []llama.Token) llama.Token {
		oneRuns, twoRuns = oneRuns || beginsWith(h, one), twoRuns || beginsWith(h, two)
		armed.Store(oneRuns && twoRuns)
		return llamatest.Hash(h)
	}
	l.loop.inbox <- makeJob("one", one, 2000)
	l.loop.inbox <- makeJob("two", two, 2000)
	l.start()
	require.ErrorIs(t, l.dies(), llama.ErrLogits)
	l.closeStore()
	require.GreaterOrEqual(t, kept(t, fs, one), 600)
	require.GreaterOrEqual(t, kept(t, fs, two), 600)
}

// Samplers look at a few places only; a digest that is kept has been looked at whole.
func TestNoDigestHasWhatIsNoNumber(t *testing.T) {
	for name, n := range map[string]int{"a block": 256, "an answer": 300} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			fake := llamatest.New(5000, 512)
			l := prepareHealth(t, fake, 2, fs)
			spoilBehind(fake, strings.Repeat("x", n), 5).Store(true)
			l.start()
			l.loop.inbox <- makeJob("x", strings.Repeat("x", n), 1)
			require.ErrorIs(t, l.dies(), llama.ErrLogits)
			require.Nil(t, l.end["x"])
			l.closeStore()
			require.Zero(t, kept(t, fs, strings.Repeat("x", n)))
		})
	}
}

// The blocks before a checkpoint have no digests: its echo vouches for them.
func TestACheckpointThatIsNoNumbersIsNotKept(t *testing.T) {
	fs := vfs.NewMem()
	fake := llamatest.New(5000, 64)
	l := prepareHealth(t, fake, 2, nil)
	l.loop.sizes.whole, l.loop.keep.whole = true, true
	l.loop.keepIn(keepTo(t, fs))
	prompt := strings.Repeat("the tea ", 100)
	fake.Spoil = func(history []llama.Token, logits []float32) {
		if n := len(history); n > 2 && n%256 != 0 && history[n-1] == history[n-2] { // an echo
			logits[5] = float32(math.NaN())
		}
	}
	l.start()
	l.loop.inbox <- makeJob("x", prompt, 3)
	require.ErrorIs(t, l.dies(), llama.ErrLogits)
	l.closeStore()
	require.Zero(t, kept(t, fs, prompt))
}

// Answers in a row that make no sense have the canary computed. It is right, so what
// they reused is dropped, once.
func TestAnswersThatMakeNoSense(t *testing.T) {
	fake := llamatest.New(8000, 64)
	l := prepareHealth(t, fake, 2, vfs.NewMem())
	var bad atomic.Bool
	fake.Next = func(h []llama.Token) llama.Token {
		if bad.Load() {
			return 'x'
		}
		return llamatest.Hash(h)
	}
	l.start()
	system := strings.Repeat("be kind. ", 60)
	asked := 0
	ask := func() (cached int) {
		asked++
		_, cached = l.ask(fmt.Sprint(asked), system+fmt.Sprint("question ", asked, "?"), 20)
		return cached
	}
	ask()
	other := strings.Repeat("another talk ", 30)
	l.ask("other", other, 20)
	bad.Store(true)
	for range suspiciousAnswers {
		require.Greater(t, ask(), len(system))
	}
	l.until("the canary is right", func() bool { return l.level.Health.Canaries == 2 && l.level.Health.Warning != "" })
	require.EqualValues(t, 1, l.health().Discarded)
	require.Contains(t, l.health().Warning, "was dropped")
	require.Positive(t, l.logged.Load())
	require.Zero(t, ask(), "it is prefilled, and what was on disk is not used either")
	_, cached := l.ask("other2", other, 20)
	require.Equal(t, len(other)-1, cached, "others keep theirs")
	for range 2 * suspiciousAnswers {
		require.Greater(t, ask(), len(system), "nothing more is dropped")
	}
	l.until("the canary was right again", func() bool { return l.level.Health.Canaries == 4 })
	require.EqualValues(t, 1, l.health().Discarded)
	require.Contains(t, l.health().Warning, "did not help")

	bad.Store(false)
	ask()
	l.until("all is well", func() bool { return l.level.Health.Warning == "" })
	bad.Store(true)
	for range suspiciousAnswers {
		ask()
	}
	l.until("it is dropped again", func() bool { return l.level.Health.Discarded == 2 })
	l.close()
}

func TestAWrongCanaryAfterAnswersThatMakeNoSense(t *testing.T) {
	fake := llamatest.New(2000, 64)
	l := prepareHealth(t, fake, 2, nil)
	var bad atomic.Bool
	fake.Next = func([]llama.Token) llama.Token { return 'x' }
	fake.Spoil = func(_ []llama.Token, logits []float32) {
		if bad.Load() {
			clear(logits)
		}
	}
	l.start()
	bad.Store(true)
	for i := range suspiciousAnswers {
		l.loop.inbox <- makeJob(fmt.Sprint(i), "prompt", 20)
	}
	require.ErrorIs(t, l.dies(), errCanary)
}

func TestWhichAnswersMakeSense(t *testing.T) {
	for script, want := range map[string]struct {
		ended            bool
		suspicious, good bool
	}{
		strings.Repeat("x", repetitive):          {false, true, false},
		strings.Repeat("x", repetitive) + "y":    {false, false, true},
		strings.Repeat("x", repetitive-1):        {false, false, false},
		strings.Repeat("x", repetitive-1) + "\t": {false, false, true},
		"x":                                      {true, false, true},
		"":                                       {false, false, false},
	} {
		l := newRig(t, llamatest.New(10, 10), 1).loop
		seq, _ := l.pool.Open("", time.Now())
		s := &sequence{job: &job{}, seq: seq}
		for _, c := range script {
			s.count(llama.Token(c))
		}
		l.health.Warning = "before"
		l.judge(s, want.ended)
		require.Equal(t, want.suspicious, l.health.Suspicious == 1, script)
		require.Equal(t, want.good, l.health.Warning == "", script)
	}
}

func TestAnEmptyAnswerIsNone(t *testing.T) {
	prompt := strings.Repeat("the tea ", 20)
	for name, c := range map[string]struct {
		before      bool
		temperature float64
		suspicious  bool // the one before was, too
		rows        int
	}{
		"nothing reused":              {false, 0, true, 160},
		"reused":                      {true, 0, false, 1},
		"reused, in a row":            {true, 0, true, 1 + 160},
		"reused, in a row, and drawn": {true, 1, true, 1 + 160},
	} {
		t.Run(name, func(t *testing.T) {
			fake := llamatest.New(1000, 64)
			l := prepareHealth(t, fake, 2, nil)
			var empty atomic.Bool
			fake.Next = func(h []llama.Token) llama.Token {
				if empty.Load() {
					return llamatest.End
				}
				return llamatest.Hash(h)
			}
			l.start()
			if c.before {
				l.ask("before", prompt, 5)
			}
			l.idle()
			l.stop()
			if c.suspicious {
				l.loop.health.suspects = []suspect{{}}
			}
			l.ended = make(chan error, 1)
			l.start()
			empty.Store(true)
			computed := fake.Computed()
			j := makeJob("empty", prompt, 10)
			j.sampling.Temperature = c.temperature
			l.loop.inbox <- j
			l.until("it is refused", func() bool { return len(l.failed) == 1 })
			require.Equal(t, infer.CodeEmpty, l.failed["empty"].Code)
			require.NotEmpty(t, l.failed["empty"].Hint)
			require.Equal(t, c.rows, fake.Computed()-computed)
			l.idle()
			l.stop()
			require.EqualValues(t, 1, l.loop.health.Suspicious)
			require.Zero(t, l.loop.health.Discarded)
		})
	}
}

func TestAnotherTokenIsDrawn(t *testing.T) {
	fake := llamatest.New(1000, 64)
	r := newRig(t, fake, 2)
	draws := 0
	fake.Next = func(h []llama.Token) llama.Token {
		if draws++; draws == 1 {
			return llamatest.End
		}
		return llamatest.Hash(h)
	}
	r.start()
	text, _ := r.ask("x", "prompt", 5)
	require.Equal(t, alone("prompt", 5), text)
	r.idle()
}

// The second empty answer in a row behind KV that has gone bad is computed anew, and the
// bad KV dropped.
func TestAnEmptyAnswerOfBadKV(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) {
			fake := llamatest.New(3000, 64)
			l := prepareHealth(t, fake, 2, nil)
			l.loop.sizes.whole = whole
			fake.Next = func(h []llama.Token) llama.Token {
				if len(h) > 50 && h[50] == 0 {
					return llamatest.End
				}
				return llamatest.Hash(h)
			}
			l.start()
			prompt := strings.Repeat("the tea ", 75)
			text, _ := l.ask("first", prompt, 5)
			l.idle()
			l.stop()
			fake.Corrupt(0, 50, 0)
			l.loop.health.suspects = []suspect{{}}
			next := prompt + text[:4] + " and?"
			l.loop.inbox <- makeJob("next", next, 20)
			l.ended = make(chan error, 1)
			l.start()
			l.until("it ends", func() bool { return l.end["next"] != nil || len(l.failed) > 0 })
			require.Empty(t, l.failed)
			require.Equal(t, alone(next, 20), l.text["next"])
			require.Equal(t, infer.Usage{PromptTokens: len(next), CompletionTokens: 20}, l.end["next"].Usage)
			l.idle()
			l.stop()
			require.NoError(t, l.loop.broken)
			require.EqualValues(t, 1, l.loop.health.Discarded)
			require.Zero(t, l.loop.health.Suspicious)
			text, cached := "", 0
			l.ended = make(chan error, 1)
			l.start()
			text, cached = l.ask("again", prompt, 5)
			require.Equal(t, alone(prompt, 5), text)
			if !whole {
				require.Equal(t, len(prompt)-1, cached, "from the new one")
			}
		})
	}
}

func TestAnAnswerMayEndWhereItGoesOn(t *testing.T) {
	fake := llamatest.New(1000, 64)
	fake.Next = func([]llama.Token) llama.Token { return llamatest.End }
	r := newRig(t, fake, 2)
	r.start()
	j := makeJob("x", "prompt", 10)
	require.Nil(t, j.goOn([]llama.Token{'a', 'b'}, 100))
	r.loop.inbox <- j
	r.until("it ends", func() bool { return r.end["x"] != nil })
	require.Equal(t, infer.FinishStop, r.end["x"].Reason)
	require.Empty(t, r.failed)
}

func TestWithoutACanaryThatIsSaid(t *testing.T) {
	l := &healthLife{rig: newRig(t, llamatest.New(100, 16), 2), answers: make(chan wire.Answer, 1)}
	l.hear()
	require.Nil(t, l.loop.firstCanary())
	l.start()
	_, failed := l.canary()
	require.NotNil(t, failed)
	text, _ := l.ask("x", "prompt", 3)
	require.Equal(t, alone("prompt", 3), text)
}

// A canary that cannot be placed, though our account says so, costs nobody anything.
func TestACanaryThatCannotBePlaced(t *testing.T) {
	fake := llamatest.New(200, 16)
	l := prepareHealth(t, fake, 2, nil)
	var fail atomic.Bool
	fake.Fail = func() error {
		if fail.Swap(false) {
			return fmt.Errorf("%w: test", llama.ErrPoolFull)
		}
		return nil
	}
	l.start()
	fail.Store(true)
	_, failed := l.canary()
	require.NotNil(t, failed)
	_, failed = l.canary()
	require.Nil(t, failed)
	l.stop()
	require.NoError(t, l.loop.broken)

	fake.Fail = func() error { return errors.Join(llama.ErrCompute) }
	l = &healthLife{rig: newRig(t, fake, 2)}
	l.loop.probe, l.loop.health.due, l.loop.health.want = make([]llama.Token, canaryTokens), true, digest([]float32{1})
	require.ErrorIs(t, l.loop.run(context.Background()), llama.ErrCompute)
}

// On the real engine, with a model of each kind, the canary's logits hardly move while
// others decode and prefill.
func TestTheRealCanary(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	for _, name := range []string{"tiny", "swa", "mamba", "hybrid"} {
		t.Run(name, func(t *testing.T) {
			path, err := shape.Ensure(t.Context(), t.TempDir(), name, nil)
			require.NoError(t, err)
			m, err := lib.OpenModel(llama.ModelParams{Path: path})
			require.NoError(t, err)
			t.Cleanup(m.Close)
			w := startKind(t, m, t.TempDir(), 4096)
			l := &healthLife{rig: w.rig, answers: make(chan wire.Answer, 16)}
			w.stop()
			l.hear()
			w.ended = make(chan error, 1)
			w.start()
			most, canaries := 0.0, 0
			for i := range 3 {
				j := makeJob(fmt.Sprint(i), strings.Repeat(fmt.Sprint("prompt ", i), 60), 150)
				j.sampling = llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
				l.loop.inbox <- j
			}
			for ended := false; !ended; canaries++ {
				c, failed := l.canary()
				require.Nil(t, failed)
				most = max(most, c.Deviation)
				l.mu.Lock()
				ended = len(l.end) == 3
				l.mu.Unlock()
			}
			t.Logf("%d canaries beside three answers were at most %.2g sd off", canaries, most)
			require.Greater(t, canaries, 3)
			require.LessOrEqual(t, most, 0.05)
			require.Empty(t, l.failed)
			w.die(false)
			w.loop.keep.store = nil
			w.loop.probe, w.loop.health.due = w.loop.probe[1:], true
			w.loop.checkHealth()
			require.ErrorIs(t, w.loop.broken, errCanary, "another one is far off")
		})
	}
}
