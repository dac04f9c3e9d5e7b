package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Kills of the worker under streaming clients are pauses, whenever they come.
// SAMOVAR_KILL_ROUNDS says how many (15).
func TestStreamsOutliveKilledWorkers(t *testing.T) {
	if !hasProc() {
		t.Skip("it reads no process table")
	}
	kills, err := strconv.Atoi(os.Getenv("SAMOVAR_KILL_ROUNDS"))
	if err != nil {
		kills = 15
	}
	in := start(t, setup{dataDir: t.TempDir()})
	in.awaitReady()
	const clients = 8
	ask := func(client, n int) map[string]any {
		return question(fmt.Sprintf("%s (%d, %d)", []string{connect, "What can you do?", "How do I get a model?", "Why is nothing prefilled twice?"}[n%4], client, n%6),
			map[string]any{"max_tokens": 120})
	}
	// What is answered without a kill; twice, since batches of other shapes round
	// otherwise.
	undisturbed := map[string][]string{}
	key := func(client, n int) string { return fmt.Sprint(client, " ", n%12) }
	for range 2 {
		var mu sync.Mutex
		var all sync.WaitGroup
		for c := range clients {
			all.Go(func() {
				for n := range 12 {
					a := surfaces[0].askStreamed(t, in, ask(c, n))
					mu.Lock()
					undisturbed[key(c, n)] = append(undisturbed[key(c, n)], a.text)
					mu.Unlock()
				}
			})
		}
		all.Wait()
	}

	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	var done atomic.Bool
	var answers, others atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := 0; !done.Load(); n++ {
				s := surfaces[(c+n)%len(surfaces)]
				a := s.askStreamed(t, in, ask(c, n)) // which fails the test at any error
				answers.Add(1)
				if was := undisturbed[key(c, n)]; a.text != was[0] && a.text != was[1] {
					others.Add(1)
				}
			}
		})
	}
	pauses := []time.Duration{}
	for killed := range kills {
		var pid int
		in.await("a worker", func() bool {
			h := in.health()
			pid = h.WorkerPID
			return h.State == "ready" && pid > 0
		})
		<-time.After(time.Duration(rng.IntN(300)) * time.Millisecond) // the moment is what is random
		began := time.Now()
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL), "kill %d", killed)
		in.await("the next worker", func() bool { h := in.health(); return h.State == "ready" && h.WorkerPID != pid })
		pauses = append(pauses, time.Since(began))
	}
	done.Store(true)
	all.Wait()
	require.Equal(t, http.StatusOK, in.get("/health/ready").status)
	require.GreaterOrEqual(t, in.health().Restarts, kills)
	require.False(t, strings.Contains(in.log.String(), "has failed"))
	longest := time.Duration(0)
	for _, p := range pauses {
		longest = max(longest, p)
	}
	t.Logf("%d kills (seed %d) under %d clients: %d answers, %d of them other than undisturbed ones; the longest time to the next worker %v",
		kills, seed, clients, answers.Load(), others.Load(), longest)
	// Greedy answers of 120 tokens of a small model turn now and then: see Sameness.
	require.LessOrEqual(t, others.Load(), 2+answers.Load()/20)
}
