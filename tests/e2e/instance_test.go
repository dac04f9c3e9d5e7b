package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/tests/samovartest"
)

const (
	// patience bounds every wait. It is long: it ends only what has failed.
	patience = 60 * time.Second
	// look is how often a wait looks.
	look = 10 * time.Millisecond
)

// instance is a running `samovar serve`.
type instance struct {
	t       *testing.T
	cmd     *exec.Cmd
	base    string
	dataDir string
	log     *output
	// exited is closed when the process has ended; state then says how.
	exited chan struct{}
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// setup is how an instance differs from the usual.
type setup struct {
	args []string
	// env is added to the environment; it replaces what it names.
	env     []string
	dataDir string
	// worker, if set, is a shell script that runs as the worker; $WORKER is the real one.
	worker string
}

// behind returns the path of a samovar whose worker is a script.
func behind(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(built.Dir, "samovar"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "samovar"), raw, 0o700))
	script = "#!/bin/sh\nWORKER=" + filepath.Join(built.Dir, "samovar-engine") + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "samovar-engine"), []byte(script), 0o700))
	return filepath.Join(dir, "samovar")
}

// command returns samovar with an environment that nothing of the tester's
// own SAMOVAR_ variables reaches.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(built.Dir, "samovar"), args...)
	// One thread: the models are tiny, and threads that spin for each other
	// stand still on a busy machine.
	cmd.Env = []string{"SAMOVAR_THREADS=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "SAMOVAR_LIB_DIR=" + built.Libs, "GORACE=atexit_sleep_ms=20"}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// start runs serve on a free port and waits until it listens.
func start(t *testing.T, s setup) *instance {
	t.Helper()
	if s.dataDir == "" {
		s.dataDir = t.TempDir()
	}
	addrFile := filepath.Join(t.TempDir(), "addr")
	args := append([]string{"serve", "--addr", "127.0.0.1:0", "--addr-file", addrFile, "--data-dir", s.dataDir}, s.args...)
	cmd := command(t, s.env, args...)
	if s.worker != "" {
		cmd.Path = behind(t, s.worker)
	}
	in := launch(t, cmd)
	in.dataDir = s.dataDir
	in.await("the address", func() bool {
		raw, err := os.ReadFile(addrFile)
		in.base = "http://" + strings.TrimSpace(string(raw))
		return err == nil
	})
	return in
}

// launch starts a command whose process, and output, end with the test.
func launch(t *testing.T, cmd *exec.Cmd) *instance {
	t.Helper()
	in := &instance{t: t, cmd: cmd, log: &output{}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = in.log, in.log
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // cmd.ProcessState says how it ended
		close(in.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-in.exited
		if in.dataDir != "" {
			samovartest.Released(t, in.dataDir)
		}
		if strings.Contains(in.log.String(), "DATA RACE") {
			t.Error("the race detector found something")
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", strings.Join(cmd.Args[1:], " "), in.log)
		}
	})
	return in
}

// guideInstance starts an instance with the built-in model and waits until it serves.
func guideInstance(t *testing.T) *instance {
	t.Helper()
	in := start(t, setup{})
	in.awaitReady()
	return in
}

// tinyInstance serves random weights, which never end an answer by themselves.
func tinyInstance(t *testing.T) *instance {
	t.Helper()
	in := start(t, setup{args: []string{"--shape", "tiny"}})
	in.awaitReady()
	return in
}

// endless is a number of tokens that takes a tiny instance seconds.
const endless = 7500

// await waits until cond holds, and fails early if the process has ended.
func (in *instance) await(what string, cond func() bool) {
	in.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
			require.True(in.t, time.Now().Before(deadline), "waited in vain for %s", what)
		case <-in.exited:
			require.Fail(in.t, "the process ended", "while waiting for %s", what)
		}
	}
}

func (in *instance) awaitReady() {
	in.t.Helper()
	in.await("ready", func() bool {
		h := in.health()
		require.NotEqual(in.t, "failed", h.State, h.Reason)
		return h.State == "ready"
	})
}

func (in *instance) awaitState(state string) health {
	in.t.Helper()
	var h health
	in.await("state "+state, func() bool { h = in.health(); return h.State == state })
	return h
}

// awaitExit waits for the end of the process and returns its exit code.
func (in *instance) awaitExit() int {
	in.t.Helper()
	select {
	case <-in.exited:
	case <-time.After(patience):
		require.Fail(in.t, "the process does not end")
	}
	return in.cmd.ProcessState.ExitCode()
}

func (in *instance) signal(s os.Signal) {
	in.t.Helper()
	require.NoError(in.t, in.cmd.Process.Signal(s))
}

// health is what GET /health says.
type health struct {
	State     string  `json:"state"`
	Progress  float64 `json:"progress"`
	Reason    string  `json:"reason"`
	Hint      string  `json:"hint"`
	Restarts  int     `json:"restarts"`
	WorkerPID int     `json:"worker_pid"`
	Active    int     `json:"active"`
	Queued    int     `json:"queued"`
	Version   string  `json:"version"`
	Model     struct {
		ID            string `json:"id"`
		ContextTokens int    `json:"context_tokens"`
		PoolCells     int    `json:"pool_cells"`
	} `json:"model"`
	Sheds map[string]int `json:"sheds"`
}

func (in *instance) health() health {
	in.t.Helper()
	r := in.get("/health")
	require.Equal(in.t, http.StatusOK, r.status)
	var h health
	r.decode(&h)
	return h
}

// response is an answer that was read to its end.
type response struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (r response) decode(into any) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal(r.body, into), "%s", r.body)
}

func (in *instance) get(path string) response {
	in.t.Helper()
	req, err := http.NewRequest(http.MethodGet, in.base+path, nil)
	require.NoError(in.t, err)
	return in.do(req)
}

func (in *instance) post(path, body string) response {
	in.t.Helper()
	return in.do(in.request(path, body))
}

func (in *instance) request(path, body string) *http.Request {
	in.t.Helper()
	req, err := http.NewRequest(http.MethodPost, in.base+path, strings.NewReader(body))
	require.NoError(in.t, err)
	return req
}

func (in *instance) do(req *http.Request) response {
	in.t.Helper()
	r, err := in.try(req)
	require.NoError(in.t, err)
	return r
}

// try is do for goroutines other than the test's.
func (in *instance) try(req *http.Request) (response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), patience)
	defer cancel()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return response{}, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return response{t: in.t, status: resp.StatusCode, header: resp.Header, body: body.Bytes()}, errors.Join(err, resp.Body.Close())
}

// alive says whether a process runs. One that has ended and that nobody has
// asked about yet does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !hasProc()
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z")
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}
