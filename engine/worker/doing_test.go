package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/vfs"
	"samovar/engine/internal/wire"
)

// lookOn has what the requests are at noted before each step. It is read once the loop has
// stopped.
func (r *rig) lookOn() *[][]wire.Doing {
	var seen [][]wire.Doing
	r.fake.Fail = func() error { // it is called by the loop
		r.loop.notePhases(time.Now())
		seen = append(seen, r.loop.doings())
		return nil
	}
	return &seen
}

// of returns what was seen of one request.
func of(seen [][]wire.Doing, id string) (all []wire.Doing) {
	for _, step := range seen {
		for _, d := range step {
			if d.ID == id {
				all = append(all, d)
			}
		}
	}
	return all
}

func TestAPromptIsSeenToBeComputed(t *testing.T) {
	r := newRig(t, llamatest.New(4000, 64), 2)
	seen := r.lookOn()
	r.start()
	before := time.Now().UnixMilli()
	r.loop.inbox <- makeJob("long", strings.Repeat("the tea ", 80), 20) // 640
	r.until("it ends", func() bool { return r.end["long"] != nil })
	r.loop.inbox <- makeJob("again", strings.Repeat("the tea ", 80)+"and more", 5)
	r.until("it ends", func() bool { return r.end["again"] != nil })
	r.idle()
	r.stop()
	require.Empty(t, r.level.Requests, "none is left")

	all := of(*seen, "long")
	require.Len(t, all, 10+19, "steps")
	for i, d := range all {
		require.Equal(t, 640, d.Prompt)
		require.GreaterOrEqual(t, d.Since, before)
		if i < 10 {
			require.Equal(t, infer.PhasePrefill, d.Phase)
			require.Equal(t, 64*i, d.Prefilled)
			require.Zero(t, d.Completed)
			require.Equal(t, all[0].Since, d.Since)
		} else {
			require.Equal(t, infer.PhaseDecode, d.Phase)
			require.Equal(t, 640, d.Prefilled)
			require.Equal(t, i-9, d.Completed)
		}
		require.Zero(t, d.Cached)
		require.Empty(t, d.Reason)
	}
	first := of(*seen, "again")[0]
	require.Equal(t, r.end["again"].Usage.CachedTokens, first.Cached, "what is reused is known at once")
	require.Positive(t, first.Cached)
}

func TestWhoWaitsAndWhy(t *testing.T) {
	r := newRig(t, llamatest.New(1000, 64), 1)
	seen := r.lookOn()
	for _, id := range []string{"a", "b", "c"} {
		j := makeJob(id, "prompt "+id, 3)
		j.agent = "ann"
		r.loop.inbox <- j
	}
	j := makeJob("d", "prompt d", 3)
	j.agent = "bob" // who has nothing at work
	r.loop.inbox <- j
	r.start()
	r.until("all end", func() bool { return len(r.end) == 4 })
	r.stop()
	first := (*seen)[0]
	require.Len(t, first, 4)
	for i, want := range []string{"a", "d", "b", "c"} {
		require.Equal(t, want, first[i].ID)
		if i > 0 {
			require.Equal(t, infer.PhaseWaiting, first[i].Phase)
			require.Equal(t, infer.WaitSequences, first[i].Reason)
			require.Zero(t, first[i].Since, "since it came")
			require.Equal(t, len("prompt a"), first[i].Prompt)
		}
	}
	require.Equal(t, "bob", first[1].Agent)
}

func TestWhoWaitsForCells(t *testing.T) {
	r := newRig(t, llamatest.New(100, 64), 4)
	seen := r.lookOn()
	r.loop.inbox <- makeJob("a", strings.Repeat("a", 50), 40)
	r.loop.inbox <- makeJob("b", strings.Repeat("b", 30), 31)
	r.loop.inbox <- makeJob("c", "c", 3) // it would fit, but is not let pass
	r.start()
	r.until("all end", func() bool { return len(r.end) == 3 })
	r.stop()
	b, c := of(*seen, "b")[0], of(*seen, "c")[0]
	require.Equal(t, infer.WaitCells, b.Reason)
	require.Equal(t, 60, b.Cells)
	require.Equal(t, 100-89, b.Room)
	require.Equal(t, infer.WaitQueue, c.Reason)
	require.Zero(t, c.Cells)
}

func TestWhoMadeRoomSaysSo(t *testing.T) {
	r := newRig(t, llamatest.New(400, 32), 2)
	r.loop.sizes.headroom = 8
	seen := r.lookOn()
	r.loop.inbox <- makeJob("old", "first", 350)
	r.loop.inbox <- makeJob("young", "second", 350)
	r.start()
	r.until("all end", func() bool { return len(r.end) == 2 })
	r.stop()
	paused := 0
	for _, d := range of(*seen, "young") {
		if d.Reason != infer.WaitPaused {
			continue
		}
		paused++
		require.Equal(t, infer.PhaseWaiting, d.Phase)
		require.NotZero(t, d.Since)
		require.Equal(t, len("second"), d.Prompt)
		require.Equal(t, d.Prompt, d.Cached+d.Prefilled)
		require.Positive(t, d.Completed)
	}
	require.Positive(t, paused)
}

func TestWhoFollowsSaysWhom(t *testing.T) {
	r := newRig(t, llamatest.New(4000, 64), 2)
	seen := r.lookOn()
	system := strings.Repeat("system ", 80) // 560
	r.loop.inbox <- makeJob("leads", system+"!", 3)
	r.loop.inbox <- makeJob("follows", system+"and so on", 3)
	r.start()
	r.until("both end", func() bool { return len(r.end) == 2 })
	r.stop()
	all := of(*seen, "follows")
	require.Equal(t, infer.PhaseWaiting, all[0].Phase)
	require.Equal(t, infer.WaitFollows, all[0].Reason)
	require.Equal(t, "leads", all[0].Follows)
	require.Equal(t, len(system), all[0].Common)
	last := all[len(all)-1]
	require.Equal(t, infer.PhaseDecode, last.Phase)
	require.Equal(t, r.end["follows"].Usage.CachedTokens, last.Cached)
	require.GreaterOrEqual(t, last.Cached, len(system))
}

// What comes back from disk is told while it comes, and what was there is counted once.
func TestWhatIsRestoredIsSeen(t *testing.T) {
	fs := vfs.NewMem()
	prompt := strings.Repeat("the tea ", 130) // 1040
	r := fakeLife(t, fs, 3000)
	r.ask("first", prompt, 5)
	r.stop()
	r.loop.saveAll(time.Minute)

	r = newRig(t, llamatest.New(3000, 64), 4)
	r.loop.keepIn(keepTo(t, fs))
	restoring := 0
	send := r.loop.send
	r.loop.send = func(k wire.Kind, v any) {
		if p, ok := v.(wire.Pulse); ok {
			for _, d := range p.Requests {
				if d.Phase == infer.PhaseRestoring {
					restoring++
				}
			}
		}
		send(k, v)
	}
	seen := r.lookOn()
	r.start()
	_, cached := r.ask("again", prompt, 5)
	r.stop()
	r.loop.saveAll(time.Minute)
	require.Positive(t, restoring)
	all := of(*seen, "again")
	last := all[len(all)-1]
	require.Equal(t, infer.PhaseDecode, last.Phase)
	require.Equal(t, cached, last.Cached)
	require.Zero(t, last.Prefilled)
}

// A pulse stays small however many wait.
func TestAPulseListsOnlyTheNext(t *testing.T) {
	r := newRig(t, llamatest.New(1000, 64), 1)
	seen := r.lookOn()
	r.loop.inbox = make(chan *job, 100)
	for range 100 {
		r.loop.inbox <- makeJob("x", "prompt", 1)
	}
	r.start()
	r.until("it begins", func() bool { return r.mostActive > 0 })
	r.until("idle", func() bool { return r.level.Active+r.level.Queued == 0 })
	r.stop()
	require.Len(t, (*seen)[0], 1+wire.PulseWaiting)
}

// A pulse is made some times a second, beside the steps.
func BenchmarkDoings(b *testing.B) {
	fake := llamatest.New(1000, 64)
	r := &rig{fake: fake}
	l := newLoop(fakeBackend{fake}, fake, sizes{cells: 1000, sequences: 8, hot: 4}, r.receive, func() {}, func(*ticket) {})
	for range 100 {
		l.waiting = append(l.waiting, makeJob("a request of somebody", "prompt", 1))
	}
	b.ReportAllocs()
	for b.Loop() {
		l.doings()
	}
}
