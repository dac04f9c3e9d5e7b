package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
	"samovar/engine/internal/kv"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fakeBackend struct{ *llamatest.Fake }

func (b fakeBackend) NewSampler(p llama.SamplerParams, chosen []llama.Token) (Sampler, error) {
	s, err := b.Fake.NewSampler(p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// rig runs a loop on a fake and collects what it sends.
type rig struct {
	t     *testing.T
	fake  *llamatest.Fake
	loop  *loop
	stop  func()
	ended chan error

	mu     sync.Mutex
	text   map[string]string
	end    map[string]*infer.End
	failed map[string]infer.Error
	level  wire.Pulse
	// mostActive is the largest number of requests that ran together.
	mostActive int
	changed    chan struct{}
}

func newRig(t *testing.T, fake *llamatest.Fake, sequences int) *rig {
	r := &rig{t: t, fake: fake, text: map[string]string{}, end: map[string]*infer.End{},
		failed: map[string]infer.Error{}, changed: make(chan struct{}, 1), ended: make(chan error, 1)}
	r.loop = newLoop(fakeBackend{fake}, fake, sizes{
		cells: fake.Cells, sequences: sequences, hot: 4, headroom: 1000,
		steps: sched.Limits{MaxRows: fake.Rows, MinChunk: 4, ITLTarget: time.Second},
	}, r.receive, func() {}, func(*ticket) {})
	r.loop.verify = true
	return r
}

// idle waits until nothing is to be done, and checks that nothing is held: what
// is in the pool is hot.
func (r *rig) idle() {
	r.t.Helper()
	r.until("idle", func() bool {
		p := r.level.Pool
		return r.level.Active == 0 && r.level.Queued == 0 && p.Pinned == 0 && p.Reserved == 0 && p.ActiveSequences == 0 && p.Used == r.fake.Used()
	})
	require.Zero(r.t, r.fake.Open(), "every sampler is closed")
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- r.loop.run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-r.ended
	})
	r.t.Cleanup(r.stop)
}

func (r *rig) receive(_ wire.Kind, v any) {
	r.mu.Lock()
	switch m := v.(type) {
	case wire.Output:
		r.text[m.ID] += m.Event.Text
		if m.Event.End != nil {
			r.end[m.ID] = m.Event.End
		}
	case wire.Rejected:
		r.failed[m.ID] = m.Error
	case wire.Pulse:
		r.level = m
		r.mostActive = max(r.mostActive, m.Active)
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// until waits until cond holds; cond is called with the lock held.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		ok := cond()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.changed:
		case <-deadline:
			r.t.Fatalf("timed out: %s", what)
		}
	}
}

func makeJob(id, prompt string, maxTokens int) *job {
	tokens, _ := (*llamatest.Fake)(nil).Tokenize(prompt, true)
	return &job{ticket: &ticket{id: id}, arrived: time.Now(), tokens: tokens, maxTokens: maxTokens, sampling: defaultSampling}
}

// alone is what the fake generates for a prompt when nobody else is there.
func alone(prompt string, n int) string {
	history, _ := (*llamatest.Fake)(nil).Tokenize(prompt, true)
	var b strings.Builder
	for range n {
		t := llamatest.Hash(history)
		history = append(history, t)
		b.WriteByte(byte(t))
	}
	return b.String()
}

func TestManyRequestsGetWhatTheyWouldGetAlone(t *testing.T) {
	fake := llamatest.New(600, 32)
	r := newRig(t, fake, 4)
	rnd := rand.New(rand.NewPCG(5, 6))
	want := map[string]string{}
	r.start()
	for i := range 40 {
		id, prompt, n := fmt.Sprint(i), strings.Repeat(fmt.Sprint("p", i), 1+rnd.IntN(30)), 1+rnd.IntN(40)
		want[id] = alone(prompt, n)
		r.loop.inbox <- makeJob(id, prompt, n)
	}
	r.until("all end", func() bool { return len(r.end)+len(r.failed) == 40 })
	require.Empty(t, r.failed)
	require.Equal(t, want, r.text)
	for id, e := range r.end {
		require.Equal(t, infer.FinishLength, e.Reason)
		require.Equal(t, len(want[id]), e.Usage.CompletionTokens)
	}
	r.idle()
	require.LessOrEqual(t, fake.MostRows(), 32)
	require.Greater(t, fake.MostRows(), 4, "prompts are batched")
}

func TestEndsAndTheirReasons(t *testing.T) {
	fake := llamatest.New(1000, 64)
	script := "one two END three"
	fake.Next = func(h []llama.Token) llama.Token {
		if n := len(h) - 4; n < len(script) {
			return llama.Token(script[n])
		}
		return llamatest.End
	}
	r := newRig(t, fake, 4)
	r.start()
	stop := makeJob("stop", "pppp", 100)
	stop.stop = []string{"END"}
	context := makeJob("context", "pppp", 3)
	context.atContext = true
	for _, j := range []*job{stop, context, makeJob("length", "pppp", 7), makeJob("turn", "pppp", 100)} {
		r.loop.inbox <- j
	}
	r.until("all end", func() bool { return len(r.end) == 4 })
	require.Equal(t, map[string]string{"stop": "one two ", "context": "one", "length": "one two", "turn": script}, r.text)
	require.Equal(t, infer.FinishStopString, r.end["stop"].Reason)
	require.Equal(t, "END", r.end["stop"].StopString)
	require.Equal(t, infer.FinishContext, r.end["context"].Reason)
	require.Equal(t, infer.FinishLength, r.end["length"].Reason)
	require.Equal(t, infer.FinishStop, r.end["turn"].Reason)
	require.Equal(t, infer.Usage{PromptTokens: 4, CachedTokens: 3, CompletionTokens: len(script)}, r.end["turn"].Usage)
}

func TestCancelFreesWhatARequestHolds(t *testing.T) {
	fake := llamatest.New(200, 64)
	r := newRig(t, fake, 2)
	r.start()
	running, waiting := makeJob("running", "pp", 150), makeJob("waiting", "pp", 150) // both do not fit at once
	// The running one generates until it is cancelled: it blocks in the fake.
	gate := make(chan struct{})
	fake.Next = func(h []llama.Token) llama.Token {
		if len(h) > 20 {
			<-gate
		}
		return 'x'
	}
	r.loop.inbox <- running
	r.until("it runs", func() bool { return r.text["running"] != "" })
	r.loop.inbox <- waiting
	running.cancelled.Store(true)
	close(gate)
	r.until("the other one ends", func() bool { return r.end["waiting"] != nil })
	require.Nil(t, r.end["running"], "a cancelled request says no more")
	r.idle()
}

func TestABadSamplerRejectsOneRequestOnly(t *testing.T) {
	r := newRig(t, llamatest.New(100, 16), 2)
	r.start()
	bad := makeJob("bad", "p", 3)
	bad.sampling.TopP = 0
	r.loop.inbox <- bad
	r.loop.inbox <- makeJob("good", "p", 3)
	r.until("both end", func() bool { return len(r.end) == 1 && len(r.failed) == 1 })
	require.Equal(t, infer.CodeInvalid, r.failed["bad"].Code)
	require.Equal(t, alone("p", 3), r.text["good"])
}

func TestBrokenStepsFailTheirRequestsAndBrokenBackendsTheLoop(t *testing.T) {
	fake := llamatest.New(100, 16)
	var fail error
	fake.Fail = func() error { return fail }
	r := newRig(t, fake, 2)
	fail = fmt.Errorf("%w: test", llama.ErrRows)
	r.start()
	r.loop.inbox <- makeJob("refused", "p", 3)
	r.until("it fails", func() bool { return len(r.failed) == 1 })
	require.Equal(t, infer.CodeInternal, r.failed["refused"].Code)
	r.until("idle", func() bool { return r.level.Active == 0 && r.level.Queued == 0 })
	r.stop()

	fake.Fail = func() error { return llama.ErrCompute }
	r2 := newRig(t, fake, 2)
	r2.loop.inbox <- makeJob("x", "p", 3)
	require.ErrorIs(t, r2.loop.run(context.Background()), llama.ErrCompute)
}

// stuckBackend never gives a sequence's cells back.
type stuckBackend struct{ fakeBackend }

func (stuckBackend) Remove(int) error { return llama.ErrCompute }

func TestASequenceThatCannotBeEmptiedEndsTheLoop(t *testing.T) {
	r := newRig(t, llamatest.New(100, 16), 1)
	r.loop.backend = stuckBackend{fakeBackend{r.fake}}
	r.loop.pool = kv.NewPool(100, 1) // the second needs the first one's sequence
	r.start()
	r.loop.inbox <- makeJob("first", "p", 3)
	r.loop.inbox <- makeJob("second", "p", 3)
	select {
	case err := <-r.ended:
		require.ErrorIs(t, err, llama.ErrCompute)
		r.ended <- err // for stop
	case <-time.After(5 * time.Second):
		require.Fail(t, "the loop goes on without a sequence")
	}
	require.Equal(t, infer.FinishLength, r.end["first"].Reason, "who has an answer gets it")
	require.Zero(t, r.fake.Open())
}

// Who comes back before the prefill is done follows it.
func TestWhoComesBackFollows(t *testing.T) {
	for name, c := range map[string]struct {
		whole         bool
		words         int
		cancel, again int // steps
	}{
		"back before it has left":       {false, 250, 6, 3},
		"back after it has left":        {false, 250, 3, 6},
		"back after it has left, whole": {true, 250, 3, 6},
		"too short to be held":          {false, 120, 6, 3},
	} {
		t.Run(name, func(t *testing.T) {
			prompt := strings.Repeat("the tea ", c.words)
			r := newRig(t, llamatest.New(8000, 64), 2)
			r.loop.sizes.whole = c.whole
			j := makeJob("leaves", prompt, 5)
			j.onCancel = r.loop.cancel
			steps := 0
			r.fake.Fail = func() error {
				switch steps++; steps {
				case c.again:
					r.loop.inbox <- makeJob("again", prompt, 5)
				case c.cancel:
					j.cancel()
				}
				return nil
			}
			r.start()
			r.loop.inbox <- j
			r.until("it is back", func() bool { return r.end["again"] != nil })
			require.Equal(t, alone(prompt, 5), r.text["again"])
			r.stop()
			require.LessOrEqual(t, r.fake.Computed(), 8*c.words+1+4, "nothing is computed twice but the token that is sampled from")
			if c.words > 200 && !c.whole {
				require.Equal(t, 1999, r.end["again"].Usage.CachedTokens)
			}
		})
	}
}

// Who leaves while a long prompt is prefilled finds it done, unless others waited.
func TestALongPrefillGoesOnWithoutItsClient(t *testing.T) {
	prompt := strings.Repeat("the tea ", 250) // 2000
	for name, others := range map[string]bool{"nobody waits": false, "somebody waits": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, llamatest.New(8000, 64), 1)
			j := makeJob("leaves", prompt, 5)
			j.onCancel = r.loop.cancel
			steps := 0
			r.fake.Fail = func() error {
				if steps++; steps == 10 {
					if others {
						r.loop.inbox <- makeJob("waits", "something else", 5)
					}
					j.cancel()
				}
				return nil
			}
			r.start()
			r.loop.inbox <- j
			if others {
				r.until("the other is served", func() bool { return r.end["waits"] != nil })
			}
			r.until("it has left", func() bool { return r.level.Active == 0 && r.level.Queued == 0 && r.level.Steps.Count > 0 })
			r.loop.inbox <- makeJob("again", prompt, 5)
			r.until("it is back", func() bool { return r.end["again"] != nil })
			require.Equal(t, alone(prompt, 5), r.text["again"])
			r.stop()
			require.Empty(t, r.text["leaves"])
			cached := r.end["again"].Usage.CachedTokens
			if others {
				require.Less(t, cached, 1000)
			} else {
				require.Equal(t, 2000, cached)
				require.EqualValues(t, 1, r.loop.held)
			}
		})
	}
}
