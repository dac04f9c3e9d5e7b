package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// A fleet that is held takes no requests, for none of its models, until it is started.
func TestAHeldFleetWaitsToBeStarted(t *testing.T) {
	cfg := fleetConfig(t, "good", "good", "good")
	late := cfg.Models[2]
	cfg.Models = cfg.Models[:2]
	cfg.Find = func(_ context.Context, name string) (Config, bool) { return late, name == late.Model.ID }
	f := NewFleet(cfg)
	f.Hold()
	require.Equal(t, infer.StateStopped, f.Status().State, "before it serves, too")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-served)
	}()
	quietly := func(model string) {
		t.Helper()
		for range 3 {
			_, err := f.Generate(t.Context(), askModel(model, "a", "hello"))
			require.Equal(t, infer.CodeStopped, infer.CodeOf(err), "%v", err)
		}
		require.Equal(t, infer.StateStopped, state(f, model).State)
		require.Zero(t, state(f, model).WorkerPID)
	}
	require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.serve != nil }, 5*time.Second, time.Millisecond)
	for _, model := range []string{"m0", "m1", "m2"} {
		quietly(model)
	}
	require.NotEmpty(t, state(f, "m0").Reason)
	require.Contains(t, state(f, "m0").Hint, "samovar start")

	// One alone; then all.
	require.NoError(t, f.Start("m1"))
	reaches(t, f, "m1", infer.StateReady)
	quietly("m0")
	require.NoError(t, f.Start(""))
	reaches(t, f, "m0", infer.StateReady)
	for _, model := range []string{"m0", "m1", "m2"} {
		says(t, f, model, "b", "hello")
	}
	require.NoError(t, f.Forget(t.Context(), "m2"))
	require.NoError(t, f.Stop(t.Context(), ""))
	quietly("m2") // it joins again, and stopped means stopped
}
