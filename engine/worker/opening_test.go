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
	"samovar/engine/internal/kv"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/vfs"
	"samovar/engine/internal/wire"
)

// A prompt that comes again costs no row: the first token is drawn from what is kept, and
// each of the others takes one, as always.
func TestNothingOfARepeatedPromptIsComputed(t *testing.T) {
	r := newRig(t, llamatest.New(2000, 64), 4)
	r.start()
	prompt := strings.Repeat("the tea ", 60)
	text, _ := r.ask("first", prompt, 20)
	require.Equal(t, alone(prompt, 20), text)
	r.idle()
	before := r.fake.Computed()
	for _, id := range []string{"second", "third"} {
		again, cached := r.ask(id, prompt, 20)
		require.Equal(t, text, again)
		require.Equal(t, len(prompt), cached)
		require.Equal(t, 20, r.end[id].Usage.CompletionTokens)
		require.Zero(t, r.end[id].Anatomy.Restore)
	}
	r.idle()
	r.stop()
	require.Equal(t, 2*19, r.fake.Computed()-before, "the last token of an answer is never evaluated")
	require.EqualValues(t, 2, r.loop.keep.opened)
}

// Where the first token may be none of those that are kept, where it would end the answer
// or might complete a stop string, and where there is nothing behind it, the prompt's last
// token is computed, and the answer is the same.
func TestAnswersThatCannotBeOpened(t *testing.T) {
	prompt := strings.Repeat("the tea ", 60)
	begins := alone(prompt, 20)
	for name, change := range map[string]func(*job){
		"one token":        func(j *job) { j.maxTokens = 1 },
		"more candidates":  func(j *job) { j.sampling.TopK = openingSize + 1 },
		"no cut":           func(j *job) { j.sampling.TopK = 0 },
		"a stop string":    func(j *job) { j.stop = []string{begins[:1]} },
		"said by a worker": func(j *job) { require.Nil(t, j.goOn([]llama.Token{llama.Token(begins[0])}, 1000)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, llamatest.New(2000, 64), 4)
			r.start()
			r.ask("first", prompt, 20)
			j := makeJob("again", prompt, 20)
			change(j)
			want := begins[:j.maxTokens]
			if j.stop != nil {
				want = ""
			} else if j.said != nil {
				want = begins[1:]
			}
			r.loop.inbox <- j
			r.until("it ends", func() bool { return r.end["again"] != nil || len(r.failed) > 0 })
			require.Empty(t, r.failed)
			require.Equal(t, want, r.text["again"])
			r.idle()
			r.stop()
			require.Zero(t, r.loop.keep.opened)
		})
	}
}

// After a restart the first token comes from the disk, before the KV is back; that is
// proven before the second.
func TestAnAnswerIsOpenedFromDisk(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 150) // 1200
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 100) // which fills the block that the prompt ends in
	r.stop()
	r.loop.saveAll(time.Minute)

	r = fakeLife(t, fs, 3000)
	text, cached := r.ask("again", prompt, 30)
	require.Equal(t, alone(prompt, 30), text)
	require.Equal(t, 1200, cached)
	a := r.end["again"].Anatomy
	require.Positive(t, a.Restore, "the logits were read")
	require.GreaterOrEqual(t, a.Prefill, time.Duration(0))
	require.LessOrEqual(t, a.Queue+a.Restore+a.Prefill, a.TTFT)
	r.stop()
	require.EqualValues(t, 1, r.loop.keep.opened)
	require.EqualValues(t, 1, r.loop.keep.proven)
	require.Equal(t, 30, r.fake.Computed(), "29 tokens, and the proof")
	r.loop.saveAll(time.Minute)
}

// An answer that was opened, and whose KV proves wrong, goes on rightly all the same: the
// prompt is prefilled.
func TestAnOpenedAnswerOutlivesWrongKV(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 150)
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 100)
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(3000, 64), 4)
	r.loop.backend = &forger{Backend: r.loop.backend, fake: r.fake}
	r.loop.keepIn(keepTo(t, fs))
	r.start()
	text, cached := r.ask("again", prompt, 30)
	require.Equal(t, alone(prompt, 30), text)
	require.Less(t, cached, 1200)
	require.Equal(t, infer.FinishLength, r.end["again"].Reason)
	r.stop()
	require.EqualValues(t, 1, r.loop.keep.opened)
	require.EqualValues(t, 1, r.loop.keep.disproved)
	r.loop.saveAll(time.Minute)
}

// An answer of one token is not opened, but what it was sampled from is kept; and that is
// still there when it is asked after a restart, and again, and the block that the prompt
// ends in is filled only then.
func TestOpeningsAreKeptForGood(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 125) // 1000: 24 tokens less than four blocks
	for life, n := range []int{1, 10, 40, 40} {
		r := fakeLife(t, fs, 3000)
		text, cached := r.ask("asks", prompt, n)
		require.Equal(t, alone(prompt, n), text)
		r.idle()
		before := r.fake.Computed()
		text, again := r.ask("hot", prompt, 10)
		require.Equal(t, alone(prompt, 10), text)
		r.stop()
		require.Equal(t, 1000, again)
		require.EqualValues(t, 9, r.fake.Computed()-before)
		if life > 0 {
			require.Equal(t, 1000, cached, "life %d", life)
			require.EqualValues(t, 2, r.loop.keep.opened)
			require.EqualValues(t, 1, r.loop.keep.proven)
		}
		r.loop.saveAll(time.Minute)
	}
}

// Who asks the same beside somebody whose KV comes back waits until that is proven, but
// not for the first token.
func TestNobodyGoesOnFromWhatIsNotProven(t *testing.T) {
	for name, second := range map[string]string{"the same": "", "the same, all is well": "", "more": "And what else?"} {
		t.Run(name, func(t *testing.T) {
			well := uint64(strings.Count(name, "well"))
			fs := vfs.NewMem()
			prompt := strings.Repeat("the tea ", 150)
			r := fakeLife(t, fs, 5000)
			r.ask("first", prompt, 100)
			r.stop()
			r.loop.saveAll(time.Minute)

			r = newRig(t, llamatest.New(5000, 64), 4)
			r.loop.backend = &forger{Backend: r.loop.backend, fake: r.fake, done: well > 0}
			r.loop.keepIn(keepTo(t, fs))
			want := map[string]string{"0": alone(prompt, 30)}
			r.loop.inbox <- makeJob("0", prompt, 30)
			for _, id := range []string{"1", "2"} {
				want[id] = alone(prompt+second, 30)
				r.loop.inbox <- makeJob(id, prompt+second, 30)
			}
			r.start()
			r.until("all end", func() bool { return len(r.end)+len(r.failed) == 3 })
			require.Equal(t, want, r.text)
			r.idle()
			r.stop()
			require.EqualValues(t, 1200, r.loop.keep.restored, "once for all")
			require.Equal(t, 1-well, r.loop.keep.disproved)
			require.Positive(t, r.loop.keep.opened)
			r.loop.saveAll(time.Minute)
		})
	}
}

// A client that leaves after the first token leaves no KV that nobody would prove.
func TestUnprovenKVLeavesWithItsClient(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 150)
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 100)
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(3000, 64), 4)
	j := makeJob("leaves", prompt, 30)
	j.onCancel = r.loop.cancel
	second, left := blockfile.Chain(keptRoot, j.tokens)[1].String(), make(chan struct{})
	slow := vfs.Inject(fs, func(op vfs.Op, name string) error {
		if op == vfs.OpRead && strings.Contains(name, second) && r.stop != nil {
			<-left
		}
		return nil
	})
	r.loop.backend = &forger{Backend: r.loop.backend, fake: r.fake, then: j.cancel}
	r.loop.keepIn(keepTo(t, slow))
	r.start()
	r.loop.inbox <- j
	r.until("it has left", func() bool { return r.text["leaves"] != "" && r.level.Active == 0 })
	require.Zero(t, r.level.Pool.Used)
	close(left)
	text, _ := r.ask("again", prompt, 30)
	require.Equal(t, alone(prompt, 30), text)
	r.stop()
	r.loop.saveAll(time.Minute)
}

// Many ask the same few prompts, in a pool that is too small for them, with stop strings
// that begin in the first token; some leave, some are paused, some come back from disk, and
// all others get what they would get alone.
func TestRepeatedPromptsUnderPressure(t *testing.T) {
	fs := vfs.NewMem()
	rnd := rand.New(rand.NewPCG(3, 4))
	system := strings.Repeat("be kind. ", 30)
	opened, pauses, restored := uint64(0), uint64(0), uint64(0)
	for range 4 { // lives
		r := newRig(t, llamatest.New(1100, 64), 4)
		r.loop.sizes.headroom = 20
		r.loop.keepIn(keepTo(t, fs))
		r.start()
		want := map[string]string{}
		var jobs []*job
		for i := range 60 {
			prompt := system + strings.Repeat(fmt.Sprint(rnd.IntN(4), " "), 10+rnd.IntN(2)*100)
			n := 2 + rnd.IntN(30) + rnd.IntN(2)*rnd.IntN(300)
			j := makeJob(fmt.Sprint(i), prompt, n)
			j.onCancel = r.loop.cancel
			want[j.id] = alone(prompt, n)
			if rnd.IntN(4) == 0 {
				j.stop = []string{want[j.id][:2]}
				want[j.id] = ""
			}
			jobs = append(jobs, j)
			r.loop.inbox <- j
			if rnd.IntN(6) == 0 {
				jobs[rnd.IntN(len(jobs))].cancel()
			}
		}
		r.until("all end", func() bool {
			return len(r.failed) > 0 || !slices.ContainsFunc(jobs, func(j *job) bool { return r.end[j.id] == nil && !j.cancelled.Load() })
		})
		require.Empty(t, r.failed)
		for _, j := range jobs {
			if r.end[j.id] != nil {
				require.Equal(t, want[j.id], r.text[j.id])
			} else {
				require.True(t, strings.HasPrefix(want[j.id], r.text[j.id]))
			}
		}
		r.idle()
		r.stop()
		opened, pauses, restored = opened+r.loop.keep.opened, pauses+r.loop.pauses, restored+r.loop.keep.restored
		require.Zero(t, r.loop.keep.disproved)
		r.loop.saveAll(time.Minute)
	}
	t.Log(opened, "opened,", pauses, "pauses,", restored, "tokens restored")
	require.Greater(t, opened, uint64(40))
	require.Positive(t, pauses)
	require.Positive(t, restored)
}

// What follows a prompt and what was said of its answer is not what follows the prompt.
func TestARetriedAnswerOpensNothing(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 150)
	answer := alone(prompt, 100)
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 6) // 5 of them are kept, with what follows
	r.stop()
	r.loop.saveAll(time.Minute)

	r = fakeLife(t, fs, 3000)
	j := makeJob("retried", prompt, 30)
	said, _ := r.fake.Tokenize(answer[:5], true)
	require.Nil(t, j.goOn(said, 3000))
	r.loop.inbox <- j
	r.until("it ends", func() bool { return r.end["retried"] != nil })
	require.Equal(t, answer[5:30], r.text["retried"])
	require.Equal(t, 1200, r.end["retried"].Usage.CachedTokens)
	again := makeJob("again", prompt, 30)
	again.sampling.Temperature = 0 // for which any number of logits would do
	r.loop.inbox <- again
	r.until("it ends", func() bool { return r.end["again"] != nil })
	require.Equal(t, answer[:30], r.text["again"])
	r.stop()
	r.loop.saveAll(time.Minute)
}

// Forgetting an agent leaves nothing of what followed its prompts.
func TestForgottenPromptsAreNotOpened(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	prompt := strings.Repeat("the tea ", 100)
	l.asks("one", prompt, 10)
	l.asks("one", "It is noon. "+prompt, 10)
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, nil))
	l.finish()
	require.Zero(t, l.loop.openings.lru.Len())
}

// What is in the pool but not proven is not gone on from, whoever has it.
func TestTheUnprovenIsNotFound(t *testing.T) {
	l := newRig(t, llamatest.New(100, 64), 4).loop
	tokens := makeJob("", "the tea is ready", 1).tokens
	seq, _ := l.pool.Open("", time.Now())
	l.pool.Restore(seq, tokens[:12], nil)
	s := &sequence{job: makeJob("it", "", 1), seq: seq}
	l.active = []*sequence{s}
	require.Equal(t, 12, l.lookup(tokens, 15).Tokens)
	s.proof = &proof{seq: seq, own: true, at: 12, from: 5}
	require.Equal(t, 5, l.lookup(tokens, 15).Tokens)
	require.Equal(t, 3, l.lookup(tokens, 3).Tokens)
	l.pool.Place([]kv.Placement{{Seq: seq, Token: tokens[12]}})
	require.Equal(t, 13, l.lookup(tokens, 15).Tokens, "somebody else has computed it")
	seq, _ = l.pool.Open("", time.Now())
	l.pool.Share(s.seq, seq, 11)
	s.proof = &proof{seq: seq, at: 11, from: 5}
	require.Equal(t, 5, l.lookup(tokens, 15).Tokens)
	require.Equal(t, 5, l.lookup(tokens, 11).Tokens)
}

// The time in the queue, in which a request's KV is read already, is none of restoring;
// and who does not wait for his turn to the end leaves nobody reading.
func TestReadingInTheQueue(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 400) // more blocks than are read ahead
	r := fakeLife(t, fs, 8000)
	r.ask("first", prompt, 10)
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(8000, 64), 1)
	r.loop.keepIn(keepTo(t, fs))
	r.loop.inbox <- makeJob("before", "something else", 2000)
	late := makeJob("late", prompt, 10)
	late.deadline = time.Now().Add(time.Millisecond)
	r.loop.inbox <- late
	r.loop.inbox <- makeJob("waits", prompt, 10)
	r.start()
	r.until("all end", func() bool { return len(r.end)+len(r.failed) == 3 })
	require.Equal(t, infer.CodeDeadline, r.failed["late"].Code)
	a := r.end["waits"].Anatomy
	require.Less(t, a.Restore, a.Queue)
	require.GreaterOrEqual(t, a.Prefill, time.Duration(0))
	require.LessOrEqual(t, a.Queue+a.Restore+a.Prefill, a.TTFT)
	r.stop()
	r.loop.saveAll(time.Minute)
}

// forger puts back other KV than it is given, the first time.
type forger struct {
	Backend
	fake *llamatest.Fake
	done bool
	then func() // if not nil, what happens then
}

func (f *forger) Put(seq int, data []byte, from, to int) error {
	err := f.Backend.Put(seq, data, from, to)
	if !f.done && err == nil {
		f.done = true
		f.fake.Corrupt(seq, from+1, 'X')
		if f.then != nil {
			f.then()
		}
	}
	return err
}
