package e2e

import (
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheQueueSurvivesTheWorker stops the worker so that nothing is answered, has
// requests wait, and kills it.
func TestTheQueueSurvivesTheWorker(t *testing.T) {
	in := guideInstance(t)
	pid := in.health().WorkerPID
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // a stopped process ends by nothing else
	const requests = 8
	streamed := func(i int) bool { return i%4 < 2 }
	var all sync.WaitGroup
	answers := make([]response, requests)
	errs := make([]error, requests)
	for i := range requests {
		s := surfaces[i%len(surfaces)]
		q := question(connect, map[string]any{"stream": streamed(i)})
		req := in.request(s.path, encode(t, q))
		all.Go(func() { answers[i], errs[i] = in.try(req) })
	}
	in.await("all to wait", func() bool { return in.health().Queued == requests })
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	all.Wait()
	for i, r := range answers {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		s := surfaces[i%len(surfaces)]
		a := answer{}
		if streamed(i) {
			a = s.streamed(t, events(t, r.body))
		} else {
			a = s.whole(t, r.body)
		}
		require.Contains(t, a.text, "7266")
		require.Equal(t, "stop", a.finish)
	}
	h := in.health()
	require.Equal(t, 1, h.Restarts)
	require.NotEqual(t, pid, h.WorkerPID)
	in.await("nothing to be left", func() bool { h := in.health(); return h.Queued == 0 && h.Active == 0 })
}

// TestWhatIsShedFindsRoomLater fills a queue of two and comes back when told.
func TestWhatIsShedFindsRoomLater(t *testing.T) {
	in := start(t, setup{args: []string{"--shape", "tiny", "--queue-max", "2"}})
	in.awaitReady()
	q := encode(t, question("Hello", map[string]any{"max_tokens": endless, "stream": true}))
	openStream(t, in, surfaces[0])
	openStream(t, in, surfaces[1])
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, q)
		want := http.StatusTooManyRequests
		if s.name == "anthropic" {
			want = 529
		}
		require.Equal(t, want, r.status, "%s", r.body)
		require.NotEmpty(t, s.failure(t, r.body))
		require.Regexp(t, `^[1-9]\d*$`, r.header.Get("Retry-After"))
	})
	require.Equal(t, 2, in.health().Sheds["queue_full"])
}

// TestKVMemory bounds the pool and is refused where it cannot be kept.
func TestKVMemory(t *testing.T) {
	in := start(t, setup{args: []string{"--kv-memory", "1GiB"}})
	in.awaitReady()
	large := in.health().Model.PoolCells
	small := start(t, setup{env: []string{"SAMOVAR_KV_MEMORY=16MiB"}})
	small.awaitReady()
	require.Less(t, small.health().Model.PoolCells, large)
	failed := start(t, setup{args: []string{"--kv-memory", "1KiB"}}).awaitState("failed")
	require.Contains(t, failed.Reason, "1.0 KiB has room for")
	require.Contains(t, failed.Reason, "--kv-memory")
}
