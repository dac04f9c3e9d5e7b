package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/proc"
	"samovar/engine/internal/wire"
)

// The test binary is the worker when it is started with this in its environment.
const playWorker = "SAMOVAR_TEST_WORKER=1"

func TestMain(m *testing.M) {
	if os.Getenv("SAMOVAR_TEST_WORKER") != "" {
		os.Exit(run(nil))
	}
	os.Exit(m.Run())
}

func start(t *testing.T) (*proc.Process, *wire.Reader) {
	self, err := os.Executable()
	require.NoError(t, err)
	p, err := proc.Start(proc.Spec{Path: self, Env: []string{playWorker, "HOME=" + t.TempDir()}})
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(time.Second) })
	in := wire.NewReader(p.Out)
	f, err := in.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindHello, f.Kind)
	return p, in
}

// A terminal sends Ctrl-C to the whole process group. The parent then lets its
// requests end, so the worker must stay.
func TestTheWorkerOutlivesTheTerminalsSignals(t *testing.T) {
	p, in := start(t)
	process, err := os.FindProcess(p.PID())
	require.NoError(t, err)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		require.NoError(t, process.Signal(s))
	}
	require.NoError(t, wire.Write(p.In, wire.KindLoad, wire.Load{Path: "/does/not/exist.gguf"}))
	f, err := in.Read()
	require.NoError(t, err, p.Tail())
	require.Equal(t, wire.KindFailed, f.Kind)
}

func TestTheWorkerLeavesWithItsParent(t *testing.T) {
	p, _ := start(t)
	require.NoError(t, p.In.Close())
	select {
	case <-p.Done():
		require.NoError(t, p.Err())
	case <-time.After(10 * time.Second):
		require.Fail(t, "the worker stays")
	}
}
