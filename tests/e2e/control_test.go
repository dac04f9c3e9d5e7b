package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// control runs a command against the instance.
func (in *instance) control(args ...string) (stdout string, code int) {
	in.t.Helper()
	out, errs, code := runToEnd(in.t, []string{"SAMOVAR_ADDR=" + strings.TrimPrefix(in.base, "http://")}, args...)
	return out + errs, code
}

func TestStopAndStartByCommandLine(t *testing.T) {
	in := start(t, setup{dataDir: t.TempDir()})
	in.awaitReady()
	text := strings.Repeat("What goes with tea? ", 60)
	first := in.asks(text)
	out, code := in.control("ps")
	require.Zero(t, code, out)
	require.Contains(t, out, "ready")
	require.Contains(t, out, "guide")
	pid := in.health().WorkerPID

	began := time.Now()
	out, code = in.control("stop")
	require.Zero(t, code, out)
	require.Contains(t, out, "stopped")
	t.Logf("stopped in %v", time.Since(began))
	require.False(t, alive(pid))
	require.Equal(t, http.StatusServiceUnavailable, in.get("/health/ready").status)
	require.Equal(t, http.StatusOK, in.get("/health/live").status)
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, encode(t, question("Hello", nil)))
		require.Equal(t, http.StatusServiceUnavailable, r.status)
		require.Contains(t, s.failure(t, r.body), "stopped")
	})
	_, code = in.control("stop")
	require.Zero(t, code)

	out, code = in.control("start")
	require.Zero(t, code, out)
	require.NotContains(t, out, "stopped")
	in.awaitReady()
	again := in.asks(text)
	require.Equal(t, first.Choices, again.Choices)
	require.Equal(t, first.Usage.Prompt, again.Usage.Details.Cached, "everything is warm")
	out, code = in.control("ps", "--json")
	require.Zero(t, code)
	var st struct{ State string }
	require.NoError(t, json.Unmarshal([]byte(out), &st))
	require.Equal(t, "ready", st.State)
}

// Other settings and another engine are pauses, under load, too.
func TestRestartsUnderLoadDropNothing(t *testing.T) {
	dir := t.TempDir()
	in := start(t, setup{dataDir: dir})
	in.awaitReady()
	ask := func(client int) map[string]any {
		return question(fmt.Sprintf("%s (%d)", connect, client), map[string]any{"max_tokens": 100})
	}
	const clients = 4
	undisturbed := make([]string, clients)
	for c := range undisturbed {
		undisturbed[c] = surfaces[0].askStreamed(t, in, ask(c)).text
	}
	var done atomic.Bool
	var answers, others atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := 0; !done.Load(); n++ {
				if a := surfaces[n%len(surfaces)].askStreamed(t, in, ask(c)); a.text != undisturbed[c] {
					others.Add(1)
				}
				answers.Add(1)
			}
		})
	}
	another := func(pid int) {
		in.await("another worker", func() bool { h := in.health(); return h.State == "ready" && h.WorkerPID != pid })
	}
	for _, ctx := range []int{2048, 1024, 4096} {
		pid := in.health().WorkerPID
		require.NoError(t, os.WriteFile(filepath.Join(dir, "settings.toml"), []byte(fmt.Sprintf("ctx = %d\n", ctx)), 0o600))
		in.signal(syscall.SIGHUP)
		another(pid)
		require.Equal(t, ctx, in.health().Model.ContextTokens)
	}
	for range 3 {
		pid := in.health().WorkerPID
		out, code := in.control("restart")
		require.Zero(t, code, out)
		another(pid)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "settings.toml"), []byte("ctx = \"nonsense\"\n"), 0o600))
	in.signal(syscall.SIGHUP)
	in.await("it says so", func() bool { return strings.Contains(in.log.String(), "stay as they were") })
	done.Store(true)
	all.Wait()
	require.Zero(t, in.health().Restarts, "all were wanted")
	t.Logf("6 restarts under %d clients: %d answers, %d other than undisturbed", clients, answers.Load(), others.Load())
	require.LessOrEqual(t, others.Load(), 1+answers.Load()/20)
}

// A worker that is stopped by a signal is replaced, and its streams go on.
func TestAHungWorkerIsAPause(t *testing.T) {
	if !hasProc() {
		t.Skip("signals are sent by number")
	}
	in := tinyInstance(t)
	stream := openStream(t, in, surfaces[0])
	pid := in.health().WorkerPID
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	stream.endsWell()
	require.NotEqual(t, pid, in.health().WorkerPID)
	require.Contains(t, in.log.String(), "did not answer")
}

// A client that leaves half way through a long prefill finds it done when it comes back.
func TestALongPrefillOutlivesItsClient(t *testing.T) {
	in := start(t, setup{dataDir: t.TempDir(), args: []string{"--shape", "0.5b"}})
	in.awaitReady()
	q := encode(t, question(strings.Repeat("What goes with tea? ", 65), map[string]any{"max_tokens": 2}))
	ctx, leave := context.WithCancel(t.Context())
	req := in.request("/v1/chat/completions", q).WithContext(ctx)
	gone := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		gone <- err
	}()
	var h struct {
		Pool struct {
			Used, Held int
			Active     int `json:"active_sequences"`
		}
		health
	}
	in.await("a part is computed", func() bool { in.get("/health").decode(&h); return h.Pool.Used > 250 })
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	in.await("the rest is, too", func() bool {
		in.get("/health").decode(&h)
		return h.Pool.Held == 1 && h.Pool.Active == 0
	})
	var a asked
	in.post("/v1/chat/completions", q).decode(&a)
	require.Greater(t, a.Usage.Prompt, 1100)
	require.Equal(t, a.Usage.Prompt, a.Usage.Details.Cached)
}
