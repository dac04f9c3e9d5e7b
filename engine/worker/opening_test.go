package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/vfs"
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
	require.Zero(t, a.Restore, "the first token did not wait for it")
	require.GreaterOrEqual(t, a.Prefill, time.Duration(0))
	require.LessOrEqual(t, a.Queue+a.Prefill, a.TTFT)
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

// forger puts back other KV than it is given, the first time.
type forger struct {
	Backend
	fake *llamatest.Fake
	done bool
}

func (f *forger) Put(seq int, data []byte, from, to int) error {
	err := f.Backend.Put(seq, data, from, to)
	if !f.done && err == nil {
		f.done = true
		f.fake.Corrupt(seq, from+1, 'X')
	}
	return err
}
