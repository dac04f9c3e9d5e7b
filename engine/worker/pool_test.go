package worker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
)

func TestACommonPrefixIsComputedOnceAndCountsOnce(t *testing.T) {
	fake := llamatest.New(4000, 32)
	r := newRig(t, fake, 8)
	system := strings.Repeat("system ", 100)
	want := map[string]string{}
	for i := range 8 { // before the loop starts: all at once
		id := fmt.Sprint(i)
		prompt := system + strings.Repeat(id, 10+i)
		want[id] = alone(prompt, 20)
		r.loop.inbox <- makeJob(id, prompt, 20)
	}
	mostUsed, mostShared := 0, 0
	r.start()
	r.until("all end", func() bool {
		mostUsed, mostShared = max(mostUsed, r.level.Pool.Used), max(mostShared, r.level.Pool.Shared)
		return len(r.end)+len(r.failed) == 8
	})
	require.Equal(t, want, r.text)
	own := 8*(10+20) + 8*7/2
	require.Less(t, fake.Computed(), len(system)+own+32, "the prefix once")
	require.GreaterOrEqual(t, fake.Computed(), len(system)+own-8)
	require.LessOrEqual(t, fake.Used(), len(system)+own, "its cells once")
	cached := 0
	for _, e := range r.end {
		cached += e.Usage.CachedTokens
	}
	require.GreaterOrEqual(t, cached, 7*len(system))
	r.idle()
}

func TestTheNextTurnComputesOnlyWhatIsNew(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) {
			fake := llamatest.New(4000, 32)
			r := newRig(t, fake, 4)
			r.loop.sizes.whole = whole
			r.start()
			history := strings.Repeat("long story ", 50)
			for turn := range 5 {
				id, before := fmt.Sprint(turn), fake.Computed()
				r.loop.inbox <- makeJob(id, history, 10)
				r.until("it ends", func() bool { return r.end[id] != nil })
				require.Equal(t, alone(history, 10), r.text[id])
				if turn > 0 {
					require.LessOrEqual(t, fake.Computed()-before, 16, "the new words and the answer")
				}
				history += r.text[id] + " and"
			}
			r.idle()
			r.stop()
			require.Equal(t, 1, r.level.Pool.IdleSequences)
		})
	}
}

func TestIdleSequencesLeaveWhenCellsAreNeeded(t *testing.T) {
	fake := llamatest.New(300, 32)
	r := newRig(t, fake, 2)
	r.start()
	for i := range 12 {
		id, prompt := fmt.Sprint(i), strings.Repeat(string(rune('a'+i)), 100)
		r.loop.inbox <- makeJob(id, prompt, 30)
		r.until("it ends", func() bool { return r.end[id] != nil })
		require.Equal(t, alone(prompt, 30), r.text[id])
	}
	r.idle()
	r.stop()
	require.Positive(t, r.level.Pool.Evictions)
}

// Clients rarely say how long an answer may get: requests that could fill the pool
// each run side by side nevertheless, and when it is full the younger ones wait.
func TestAnswersWithoutALimitRunSideBySide(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) {
			fake := llamatest.New(400, 32)
			r := newRig(t, fake, 4)
			r.loop.sizes.headroom, r.loop.sizes.whole = 8, whole
			const answer = 300
			for i := range 4 {
				r.loop.inbox <- makeJob(fmt.Sprint(i), fmt.Sprint("prompt ", i), answer)
			}
			r.start()
			r.until("they run together", func() bool { return r.mostActive == 4 })
			r.until("all end", func() bool { return len(r.end) == 4 })
			r.idle()
			r.stop()
			require.Positive(t, r.level.Pool.Pauses)
			for i := range 4 {
				id := fmt.Sprint(i)
				require.Equal(t, alone("prompt "+id, answer), r.text[id])
				usage := r.end[id].Usage
				require.Equal(t, len("prompt 0"), usage.PromptTokens)
				require.Equal(t, answer, usage.CompletionTokens)
				require.Less(t, usage.CachedTokens, usage.PromptTokens)
			}
		})
	}
}

func TestAPausedRequestCanBeCancelled(t *testing.T) {
	fake := llamatest.New(400, 32)
	r := newRig(t, fake, 2)
	r.loop.sizes.headroom = 8
	r.start()
	old, young := makeJob("old", "first", 350), makeJob("young", "second", 350)
	r.loop.inbox <- old
	r.loop.inbox <- young
	r.until("one is paused", func() bool { return r.level.Pool.Pauses > 0 })
	young.cancel()
	r.until("the other ends", func() bool { return r.end["old"] != nil })
	r.idle()
	r.stop()
	require.Nil(t, r.end["young"])
	require.Equal(t, alone("first", 350), r.text["old"])
}

func TestHolesAreClosedWhenThatPays(t *testing.T) {
	fake := llamatest.New(3000, 64)
	r := newRig(t, fake, 4)
	r.loop.sizes.skipCell = time.Millisecond // a very slow machine
	r.loop.sizes.cellBytes = 1
	r.start()
	long := strings.Repeat("x", 1000)
	// One below the other, and the lower one goes.
	first, second := makeJob("first", long, 1), makeJob("second", "another", 400)
	r.loop.inbox <- first
	r.loop.inbox <- second
	r.until("both end", func() bool { return len(r.end) == 2 })
	r.idle()
	r.stop()
	require.Equal(t, alone("another", 400), r.text["second"])
	require.Positive(t, r.level.Pool.Evictions, "the idle one slowed the other down")
	require.Positive(t, r.level.Pool.Compactions)
	require.Less(t, r.level.Pool.Span, 500)
}

func TestAWaitingRequestIsDroppedAtItsDeadline(t *testing.T) {
	fake := llamatest.New(100, 16)
	r := newRig(t, fake, 1)
	late := makeJob("late", "pp", 10)
	late.deadline = time.Now().Add(-time.Second)
	r.loop.inbox <- late
	r.start()
	r.until("it is refused", func() bool { return len(r.failed) == 1 })
	require.Equal(t, infer.CodeDeadline, r.failed["late"].Code)
	r.idle()
}

// countingBackend counts the aborts.
type countingBackend struct {
	fakeBackend
	aborts, resumes int
}

func (b *countingBackend) Abort()  { b.aborts++ }
func (b *countingBackend) Resume() { b.resumes++ }

func TestAStepIsAbortedOnlyWhenMostOfItIsForNobody(t *testing.T) {
	b := &countingBackend{}
	g := stepGuard{backend: b}
	one, two, three := &ticket{id: "1"}, &ticket{id: "2"}, &ticket{id: "3"}
	g.cancel(one) // between steps
	g.begin(map[*ticket]int{one: 40, two: 59, three: 1})
	g.cancel(one)
	g.cancel(one)
	require.Zero(t, b.aborts)
	g.cancel(three)
	require.Zero(t, b.aborts)
	g.cancel(two)
	require.Equal(t, 1, b.aborts)
	g.end()
	require.Equal(t, 1, b.resumes)
	two.cancelled.Store(true)
	g.begin(map[*ticket]int{two: 10})
	require.Equal(t, 2, b.aborts, "cancelled since the loop looked")
	g.end()
}

// TestPoolInvariants drives the loop with random requests on the real engine: the
// account is compared with llama.cpp's after every step.
func TestPoolInvariants(t *testing.T) {
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	model, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
	require.NoError(t, err)
	defer model.Close()
	const cells, active, hot = 250, 4, 6
	ctx, err := model.NewContext(llama.ContextParams{Cells: cells, Rows: 64, Sequences: active + hot, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	defer ctx.Close()

	r := newRig(t, llamatest.New(cells, 64), active)
	r.loop = newLoop(backend{ctx}, endless{model}, sizes{
		cells: cells, sequences: active, hot: hot, headroom: 10, cellBytes: 1000, skipCell: 20 * time.Microsecond,
		steps: sched.Limits{MaxRows: 64, MinChunk: 16, ITLTarget: 20 * time.Millisecond},
	}, r.receive, func() {}, func(*ticket) {})
	r.loop.verify = true
	r.start()

	rnd := rand.New(rand.NewPCG(11, 12))
	system := strings.Repeat("You are the guide. ", 15)
	total := 0
	var jobs []*job
	for i := range 60 {
		prompt := []string{"", system, system + system, "Tea, please. "}[rnd.IntN(4)] + strings.Repeat(fmt.Sprint(rnd.IntN(5), " leaves "), 1+rnd.IntN(12))
		answer := 1 + rnd.IntN(24) + rnd.IntN(2)*rnd.IntN(80)
		crowd := i < active // at once, they outgrow the pool
		if crowd {
			prompt, answer = fmt.Sprint(i, " leaves"), 2*cells/active
		}
		tokens, err := model.Tokenize(prompt, false)
		require.NoError(t, err)
		j := makeJob(fmt.Sprint(i), "", min(answer, cells-len(tokens)))
		j.tokens, j.sampling = tokens, llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
		j.agent = []string{"", "a", "b"}[rnd.IntN(3)]
		j.onCancel = r.loop.guard.cancel
		jobs = append(jobs, j)
		total += len(tokens)
		r.loop.inbox <- j
		if !crowd && rnd.IntN(5) == 0 {
			jobs[active+rnd.IntN(len(jobs)-active)].cancel()
		}
	}
	r.until("all end", func() bool {
		for _, j := range jobs {
			if r.end[j.id] == nil && !j.cancelled.Load() {
				return len(r.failed) > 0
			}
		}
		return true
	})
	require.Empty(t, r.failed)
	r.until("idle", func() bool { return r.level.Active == 0 && r.level.Queued == 0 && r.level.Pool.Pinned == 0 })
	r.stop()
	require.NoError(t, r.loop.broken)
	p := r.level.Pool
	require.Positive(t, p.Evictions)
	require.Positive(t, p.Pauses)
	t.Logf("%d prompt tokens, %d computed; %d evictions, %d pauses, %d compactions, %d aborted steps",
		total, r.level.Steps.PrefillRows, p.Evictions, p.Pauses, p.Compactions, r.level.Steps.Aborted)
	require.Less(t, r.level.Steps.PrefillRows, uint64(total)*3/4, "much is shared, and pauses lose little")
}

func TestTheRawLoopRunsWhenNothingElseIsToBeDone(t *testing.T) {
	fake := llamatest.New(300, 32)
	r := newRig(t, fake, 4)
	done := make(chan wire.Measured, 4)
	send := r.loop.send
	r.loop.send = func(k wire.Kind, v any) {
		if m, ok := v.(wire.Measured); ok {
			done <- m
			return
		}
		send(k, v)
	}
	r.loop.measures <- wire.Measure{ID: "round", Rows: 3, Tokens: 10, PromptTokens: 40}
	r.loop.measures <- wire.Measure{ID: "too large", Rows: 3, Tokens: 10, PromptTokens: 400}
	r.loop.measures <- wire.Measure{ID: "nothing", Rows: 0, Tokens: 10, PromptTokens: 40}
	r.loop.inbox <- makeJob("first", "prompt", 10)
	r.start()
	answers := map[string]wire.Measured{}
	for range 3 {
		m := <-done
		answers[m.ID] = m
	}
	require.Empty(t, answers["round"].Error)
	require.Positive(t, answers["round"].Seconds)
	require.NotEmpty(t, answers["too large"].Error)
	require.NotEmpty(t, answers["nothing"].Error)
	r.until("the request ends", func() bool { return r.end["first"] != nil })
	require.Equal(t, alone("prompt", 10), r.text["first"])
	r.idle()
}
