package e2e

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHealthWhileStarting holds the worker back by giving it a model that
// must first be made and is not small, so that starting takes a while.
func TestHealthWhileStarting(t *testing.T) {
	in := start(t, setup{args: []string{"--shape", "0.5b"}})
	// From the first moment on, whatever the model does:
	require.Equal(t, http.StatusOK, in.get("/health/live").status)
	h := in.health()
	require.Equal(t, "starting", h.State)
	require.Equal(t, "shape-0.5b", h.Model.ID)
	ready, startup := in.get("/health/ready"), in.get("/health/startup")
	require.Equal(t, http.StatusServiceUnavailable, ready.status)
	require.NotEmpty(t, ready.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, startup.status)
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, encode(t, question("Hello", nil)))
		require.Equal(t, http.StatusServiceUnavailable, r.status, "%s", r.body)
		require.NotEmpty(t, r.header.Get("Retry-After"))
		require.NotEmpty(t, s.failure(t, r.body))
	})
	furthest := 0.0
	in.await("ready", func() bool {
		require.Equal(t, http.StatusOK, in.get("/health/live").status)
		h := in.health()
		furthest = max(furthest, h.Progress)
		return h.State == "ready"
	})
	require.Positive(t, furthest, "progress was shown")
	require.Equal(t, http.StatusOK, in.get("/health/ready").status)
	require.Equal(t, http.StatusOK, in.get("/health/startup").status)
	require.NotZero(t, surfaces[0].ask(t, in, question("Hello", map[string]any{"max_tokens": 4})).written)
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	in := tinyInstance(t)
	before := in.health()
	onBoth(t, func(t *testing.T, s surface) {
		pid := in.health().WorkerPID
		stream := openStream(t, in, s)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		stream.endsWell()

		notReady := false
		in.await("a new worker", func() bool {
			require.Equal(t, http.StatusOK, in.get("/health/live").status)
			code := in.get("/health/ready").status
			notReady = notReady || code == http.StatusServiceUnavailable
			return code == http.StatusOK && in.health().WorkerPID != pid
		})
		require.True(t, notReady || in.health().Restarts > 0)
		require.False(t, alive(pid))
		require.NotEmpty(t, s.ask(t, in, question("Hello", nil)).text)
	})
	require.Equal(t, before.Restarts+2, in.health().Restarts)
}

// openedStream is a stream that is being answered.
type openedStream struct {
	t     *testing.T
	lines *bufio.Scanner
}

// openStream returns once the first text of an endless answer has arrived: ask
// a tiny instance.
func openStream(t *testing.T, in *instance, s surface) *openedStream {
	t.Helper()
	q := question("Hello", map[string]any{"max_tokens": endless, "stream": true})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.base+s.path, strings.NewReader(encode(t, q)))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	o := &openedStream{t: t, lines: bufio.NewScanner(resp.Body)}
	for texts := 0; texts < 3; {
		require.True(t, o.lines.Scan(), "the stream ended early")
		if strings.Contains(o.lines.Text(), `"content":"`) || strings.Contains(o.lines.Text(), "text_delta") {
			texts++
		}
	}
	return o
}

// endsWell reads to the end, which must be an answer's.
func (o *openedStream) endsWell() {
	o.t.Helper()
	last := ""
	for o.lines.Scan() {
		if data, ok := strings.CutPrefix(o.lines.Text(), "data: "); ok {
			require.NotContains(o.t, data, `"error"`)
			last = data
		}
	}
	require.NoError(o.t, o.lines.Err())
	require.Contains(o.t, []string{"[DONE]", `{"type":"message_stop"}`}, last)
}

func TestKilledParentLeavesNoWorker(t *testing.T) {
	in := tinyInstance(t)
	pid := in.health().WorkerPID
	require.True(t, alive(pid))
	openStream(t, in, surfaces[0]) // it is busy, too
	in.signal(syscall.SIGKILL)
	in.awaitExit()
	require.Eventually(t, func() bool { return !alive(pid) }, patience, look, "worker %d lives on", pid)
}

func TestSignalsStopInOrder(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			in := guideInstance(t)
			pid := in.health().WorkerPID
			in.signal(s)
			require.Zero(t, in.awaitExit())
			require.False(t, alive(pid), "the worker ended first")
			require.NotContains(t, in.log.String(), "level=ERROR")
		})
	}
}

func TestStoppingLetsStreamsFinish(t *testing.T) {
	in := guideInstance(t)
	q := question(connect, map[string]any{"stream": true})
	req, err := http.NewRequest(http.MethodPost, in.base+"/v1/chat/completions", strings.NewReader(encode(t, q)))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	in.signal(syscall.SIGTERM)
	var sawEnd bool
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		sawEnd = sawEnd || lines.Text() == "data: [DONE]"
	}
	require.True(t, sawEnd)
	require.Zero(t, in.awaitExit())
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	for name, between := range map[string]func(in *instance){
		"after the first is seen": func(in *instance) {
			in.await("the first signal to be seen", func() bool { return strings.Contains(in.log.String(), "stopping") })
		},
		"right behind it": func(*instance) {},
	} {
		t.Run(name, func(t *testing.T) {
			in := tinyInstance(t)
			pid := in.health().WorkerPID
			openStream(t, in, surfaces[0]) // a stream that nobody reads holds up the end
			// Two of a kind would be one while they are pending. SIGTERM is the second: the
			// other one's default is to be ignored where tests run in the background.
			in.signal(syscall.SIGINT)
			between(in)
			in.signal(syscall.SIGTERM)
			require.NotZero(t, in.awaitExit())
			require.NotContains(t, in.log.String(), "stopped")
			require.Eventually(t, func() bool { return !alive(pid) }, patience, look)
		})
	}
}

func TestMissingLibraries(t *testing.T) {
	in := start(t, setup{env: []string{"SAMOVAR_LIB_DIR=" + filepath.Join(t.TempDir(), "none")}})
	h := in.awaitState("failed")
	require.Contains(t, h.Reason, "none")
	require.NotEmpty(t, h.Hint)
	failedForGood(t, in)
}

// failedForGood checks what holds whenever a model cannot be served: the API
// lives and says why, once in the log, and no worker is tried again and again.
func failedForGood(t *testing.T, in *instance) {
	t.Helper()
	h := in.health()
	require.NotEmpty(t, h.Reason)
	require.Equal(t, http.StatusOK, in.get("/health/live").status)
	ready := in.get("/health/ready")
	require.Equal(t, http.StatusServiceUnavailable, ready.status)
	require.Contains(t, string(ready.body), "reason")
	for _, s := range surfaces {
		r := in.post(s.path, encode(t, question("Hello", nil)))
		require.Equal(t, http.StatusServiceUnavailable, r.status, "%s", r.body)
		require.NotEmpty(t, s.failure(t, r.body))
	}
	require.Zero(t, h.Restarts)
	require.Zero(t, h.WorkerPID)
	require.Equal(t, 1, strings.Count(in.log.String(), "level=ERROR"), "said once")
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
}

func TestOneInstancePerDataFolder(t *testing.T) {
	in := guideInstance(t)
	second := launch(t, command(t, nil, "serve", "--addr", "127.0.0.1:0", "--data-dir", in.dataDir))
	require.Equal(t, 4, second.awaitExit())
	require.Contains(t, second.log.String(), "pid "+itoa(in.cmd.Process.Pid))
	require.Equal(t, 1, strings.Count(second.log.String(), "\n"), "one line")
}

func TestTakenPortNamesItsOwner(t *testing.T) {
	in := guideInstance(t)
	taken := strings.TrimPrefix(in.base, "http://")
	second := launch(t, command(t, nil, "serve", "--addr", taken, "--data-dir", t.TempDir()))
	require.Equal(t, 3, second.awaitExit())
	for _, part := range []string{taken, "samovar (pid " + itoa(in.cmd.Process.Pid) + ")", "--addr"} {
		require.Contains(t, second.log.String(), part)
	}
}

func TestAddrFileGoesWithTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addr")
	in := launch(t, command(t, nil, "serve", "--addr", "127.0.0.1:0", "--data-dir", t.TempDir(), "--addr-file", file))
	in.await("the address", func() bool { _, err := os.Stat(file); return err == nil })
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	require.NoFileExists(t, file)
}
