package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/models/modelstest"
)

// fleetConfig is of models whose fake workers play parts, each of as many bytes as need
// says.
func fleetConfig(t *testing.T, parts ...string) FleetConfig {
	cfg := FleetConfig{Budget: func(int64) (int64, error) { return 1 << 40, nil }}
	for i, part := range parts {
		c := fakeConfig(t, part)
		c.Model = ModelFile{ID: fmt.Sprintf("m%d", i), Path: filepath.Join(t.TempDir(), "model.gguf")}
		good, err := os.ReadFile(modelstest.Good(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(c.Model.Path, good, 0o600))
		c.ContextTokens = 64 // that its need is the same whatever there is
		cfg.Models = append(cfg.Models, c)
	}
	return cfg
}

// need is what each model of a fleetConfig takes.
func need(t *testing.T, cfg FleetConfig) int64 {
	e := New(cfg.Models[0])
	n, err := e.needs(1 << 40)
	require.NoError(t, err)
	require.Positive(t, n)
	return n
}

func openFleet(t *testing.T, cfg FleetConfig) *Fleet {
	f := NewFleet(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
		for _, s := range f.Overview().Models {
			require.Equal(t, infer.StateStopped, s.State)
			require.Zero(t, s.WorkerPID)
		}
		require.Zero(t, f.Overview().Memory.Taken)
	})
	return f
}

// state is that of a model of a fleet.
func state(f *Fleet, id string) infer.Status {
	models := f.Overview().Models
	return models[slices.IndexFunc(models, func(s infer.Status) bool { return s.Model.ID == id })]
}

func reaches(t *testing.T, f *Fleet, id string, s infer.State) {
	t.Helper()
	if !assert.Eventually(t, func() bool { return state(f, id).State == s }, 20*time.Second, time.Millisecond) {
		require.Fail(t, "it does not get there", "%s should be %s: %+v", id, s, f.Overview())
	}
}

func askModel(model, id, say string) infer.Request {
	r := ask(id, say)
	r.Model = model
	return r
}

// says asks a model and requires its answer.
func says(t *testing.T, f *Fleet, model, id, say string) {
	t.Helper()
	s, err := f.Generate(t.Context(), askModel(model, id, say))
	require.NoError(t, err)
	text, _, _ := collect(s)
	require.Equal(t, say, text)
}

func TestModelsAreLoadedWhenTheyAreAskedFor(t *testing.T) {
	cfg := fleetConfig(t, "good", "good", "good")
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	require.Equal(t, infer.StateUnloaded, state(f, "m1").State)
	says(t, f, "m1", "a", "one two")
	require.Equal(t, infer.StateReady, state(f, "m1").State)
	require.Equal(t, infer.StateUnloaded, state(f, "m2").State, "nobody asked for it")
	says(t, f, "", "b", "the default one")
	require.Equal(t, infer.StateReady, state(f, "m0").State, "there is room for both")
	require.Equal(t, 2*need(t, cfg), f.Overview().Memory.Taken)
	_, err := f.Generate(t.Context(), askModel("m7", "c", "who?"))
	require.Equal(t, infer.CodeModelNotFound, infer.CodeOf(err))
}

func TestTheLeastRecentlyUsedMakesRoom(t *testing.T) {
	cfg := fleetConfig(t, "good", "good", "good")
	cfg.Memory = 2*need(t, cfg) + 1
	f := openFleet(t, cfg)
	for i, step := range []struct{ ask, leaves string }{
		{"m0", ""}, {"m1", ""}, {"m0", ""}, {"m2", "m1"}, {"m1", "m0"}, {"m2", ""}, {"m0", "m1"},
	} {
		if i == 0 {
			reaches(t, f, "m0", infer.StateReady)
		}
		says(t, f, step.ask, fmt.Sprint("r", i), "one two")
		for _, s := range f.Overview().Models {
			if s.Model.ID == step.leaves {
				require.Equal(t, infer.StateUnloaded, s.State, "step %d", i)
			}
		}
		require.LessOrEqual(t, f.Overview().Memory.Taken, cfg.Memory)
	}
	require.Equal(t, 2, state(f, "m1").Loads)
	require.Positive(t, state(f, "m1").LoadTime)
	require.Positive(t, state(f, "m1").UnloadTime, "the swap's cost is shown")
}

// Two models that both have requests take turns in the room for one, and nobody is
// refused.
func TestModelsTakeTurns(t *testing.T) {
	t.Parallel()
	cfg := fleetConfig(t, "good", "good")
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			model := fmt.Sprintf("m%d", i%2)
			s, err := f.Generate(context.Background(), askModel(model, fmt.Sprint("r", i), "one two three"))
			if err == nil {
				var text string
				text, _, _ = collect(s)
				if text != "one two three" {
					err = fmt.Errorf("it said %q", text)
				}
			}
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	group.Wait()
	require.Equal(t, 1, state(f, "m1").Loads)
}

func TestThePinnedStay(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	cfg.Memory = need(t, cfg) + 1
	cfg.Pinned = []string{"m0"}
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	require.True(t, state(f, "m0").Pinned)
	says(t, f, "m1", "a", "with what is left") // the fake needs none
	require.Equal(t, infer.StateReady, state(f, "m0").State)
	require.NoError(t, f.Unload(t.Context(), "m1"))
	require.NoError(t, f.Pin("m0", false))
	says(t, f, "m1", "b", "now it leaves")
	require.Equal(t, infer.StateUnloaded, state(f, "m0").State)
}

func TestAModelThatCannotFitIsRefusedWithNumbers(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	cfg.Models[1].ContextTokens = 0
	cfg.Models[1].KVBytes = 1 << 30
	cfg.Models[1].ContextTokens = 1024
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	s, err := f.Generate(t.Context(), askModel("m1", "a", "hello"))
	if err == nil {
		_, _, err = collect(s)
	}
	require.Equal(t, infer.CodeFailed, infer.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "MiB")
	require.Equal(t, infer.StateReady, state(f, "m0").State, "nobody left for it")
}

// A model that cannot be loaded gives back the room that others made for it.
func TestTheOthersComeBack(t *testing.T) {
	t.Parallel()
	cfg := fleetConfig(t, "good", "badmodel")
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	_, err := f.Generate(t.Context(), askModel("m1", "a", "hello"))
	require.Equal(t, infer.CodeFailed, infer.CodeOf(err))
	require.ErrorContains(t, err, "no GGUF")
	reaches(t, f, "m0", infer.StateReady)
	require.Equal(t, 2, state(f, "m0").Loads)
	says(t, f, "m0", "b", "still here")
}

func TestIdleModelsLeave(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	cfg.IdleOnBattery = 50 * time.Millisecond
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	feed, stop := f.Transitions()
	defer stop()
	f.SetPower(Power{OnBattery: true})
	reaches(t, f, "m0", infer.StateUnloaded)
	var why []string
	for range 2 { // it drains and is unloaded
		why = append(why, (<-feed).Reason)
	}
	require.Contains(t, why[0], "not used for 50ms")
	s, err := f.Generate(t.Context(), askModel("m0", "a", "wait"))
	require.NoError(t, err, "it is back")
	require.Equal(t, infer.StateReady, state(f, "m0").State)
	f.changed()
	require.Never(t, func() bool { return state(f, "m0").State != infer.StateReady }, 200*time.Millisecond, 10*time.Millisecond, "it has a request")
	s.Close()
	reaches(t, f, "m0", infer.StateUnloaded)
}

func TestScarceMemory(t *testing.T) {
	t.Parallel()
	f := openFleet(t, fleetConfig(t, "good", "good"))
	reaches(t, f, "m0", infer.StateReady)
	f.SetPower(Power{Pressure: "warn"})
	require.Eventually(t, func() bool { return f.Overview().Memory.Relief != "" }, 10*time.Second, time.Millisecond)
	says(t, f, "m0", "a", "a warning is no reason to refuse")
	f.SetPower(Power{Pressure: "critical"})
	var err error
	require.Eventually(t, func() bool {
		var s infer.Stream
		s, err = f.Generate(t.Context(), askModel("m0", "b", "wait"))
		if err == nil {
			s.Close()
		}
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)
	var refused *infer.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, infer.CodeOverloaded, refused.Code)
	require.Equal(t, infer.ShedMemory, refused.Shed)
	require.Positive(t, refused.RetryAfter)
	require.Positive(t, state(f, "m0").Sheds[infer.ShedMemory])
	reaches(t, f, "m0", infer.StateUnloaded)
	f.SetPower(Power{Pressure: "normal"})
	require.Eventually(t, func() bool {
		s, err := f.Generate(t.Context(), askModel("m0", "c", "back"))
		if err == nil {
			s.Close()
		}
		return err == nil
	}, 60*time.Second, 50*time.Millisecond)
}

// After a sleep the engines are tried, and one that computes nonsense is replaced.
func TestAfterASleep(t *testing.T) {
	f := openFleet(t, fleetConfig(t, "good", "good"))
	reaches(t, f, "m0", infer.StateReady)
	pid := state(f, "m0").WorkerPID
	f.Woke(t.Context(), 8*time.Hour)
	require.Eventually(t, func() bool { s := state(f, "m0"); return s.State == infer.StateReady && s.WorkerPID != pid }, 20*time.Second, time.Millisecond)
	require.Contains(t, f.Overview().Transitions[1].Reason, "canary")
	require.Equal(t, infer.StateUnloaded, state(f, "m1").State)
	says(t, f, "m0", "a", "good morning")
}

// Agents can be asked about while the default model is away, and those of a model that was
// unloaded or stopped are known.
func TestAgentsOfAllModels(t *testing.T) {
	f := openFleet(t, fleetConfig(t, "good", "good"))
	reaches(t, f, "m0", infer.StateReady)
	says(t, f, "m1", "a", "hello")
	all, err := f.Agents(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.ElementsMatch(t, []string{"m0", "m1"}, []string{all[0].Model, all[1].Model})
	require.NoError(t, f.Stop(t.Context(), "m0"))
	all, err = f.Agents(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	was := all[slices.IndexFunc(all, func(a infer.Agent) bool { return a.Model == "m0" })]
	require.Equal(t, infer.TierWarm, was.Tier, "it was saved on the way out")
	require.Zero(t, was.HotTokens)
	require.Equal(t, 9, was.WarmTokens)
	a, err := f.Agent(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, "ann", a.ID)
	require.NoError(t, f.Unload(t.Context(), "m1"))
	all, err = f.Agents(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2, "as it was")
	require.NoError(t, f.Restart("", "again"))
	require.Equal(t, infer.StateStopped, state(f, "m0").State, "what has no worker gets none")
	require.NoError(t, f.Stop(t.Context(), ""))
	_, err = f.Agent(t.Context(), "ann")
	require.NoError(t, err)
	_, err = f.Agent(t.Context(), "bob")
	require.Equal(t, infer.CodeStopped, infer.CodeOf(err), "the model may know one that was not listed")
	_, err = f.PinAgent(t.Context(), "ann", true)
	require.Equal(t, infer.CodeStopped, infer.CodeOf(err), "what is to be changed needs a worker")
	saved, err := f.Savings(t.Context())
	require.NoError(t, err)
	require.Equal(t, 14, saved.Total.Requests, "of both")
}

// What is known of agents and savings is told at any time, whatever becomes of the workers.
func TestWhoAsksIsAlwaysToldWhatIsKnown(t *testing.T) {
	f := openFleet(t, fleetConfig(t, "good", "good"))
	says(t, f, "m1", "a", "hello")
	reaches(t, f, "m0", infer.StateReady)
	require.NoError(t, f.Unload(t.Context(), "m1"))
	ask := func() error {
		agents, err := f.Agents(t.Context())
		if err == nil && len(agents) != 2 {
			err = fmt.Errorf("%d agents", len(agents))
		}
		saved, other := f.Savings(t.Context())
		if other == nil && saved.Total.Requests != 14 {
			other = fmt.Errorf("%d requests", saved.Total.Requests)
		}
		return errors.Join(err, other)
	}
	require.NoError(t, ask())
	stop := make(chan struct{})
	var asking sync.WaitGroup
	failed := make([]error, 2)
	for i := range failed {
		asking.Go(func() {
			for failed[i] == nil {
				select {
				case <-stop:
					return
				default:
					failed[i] = ask()
				}
			}
		})
	}
	for range 5 {
		before := state(f, "m0").WorkerPID
		require.NoError(t, f.Restart("", "again"))
		require.Eventually(t, func() bool { s := state(f, "m0"); return s.State == infer.StateReady && s.WorkerPID != before }, 20*time.Second, time.Millisecond)
		require.NoError(t, syscall.Kill(state(f, "m0").WorkerPID, syscall.SIGKILL))
		says(t, f, "m0", "a", "hello")
		require.NoError(t, f.Stop(t.Context(), "m0"))
		require.NoError(t, f.Start("m0"))
		reaches(t, f, "m0", infer.StateReady)
		require.NoError(t, f.Unload(t.Context(), ""))
		says(t, f, "m1", "a", "hello")
		require.NoError(t, f.Start("m0"))
		reaches(t, f, "m0", infer.StateReady)
	}
	close(stop)
	asking.Wait()
	require.NoError(t, errors.Join(failed...))
}

func TestAnotherDefaultModel(t *testing.T) {
	cfg := fleetConfig(t, "good", "badmodel", "good")
	all := cfg.Models
	cfg.Models = all[:1]
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	require.ErrorContains(t, f.Use(t.Context(), all[1]), "no GGUF")
	require.Len(t, f.Models(), 1)
	reaches(t, f, "m0", infer.StateReady)
	says(t, f, "", "a", "as before")
	require.NoError(t, f.Use(t.Context(), all[2]))
	require.Equal(t, "m2", f.Models()[0].ID)
	require.Equal(t, infer.StateReady, f.Status().State)
	require.Equal(t, infer.StateUnloaded, state(f, "m0").State, "there is room for one")
	says(t, f, "m0", "b", "it can be asked for")
}

// Orders from everywhere at once converge.
func TestFiftyOrdersAtOnce(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for i := range 50 {
		model := fmt.Sprintf("m%d", i%2)
		group.Go(func() {
			switch i % 5 {
			case 0:
				_ = f.Stop(ctx, "")
			case 1:
				_ = f.Start("")
			case 2:
				_ = f.Unload(ctx, model)
			case 3:
				_ = f.Restart(model, "again")
			case 4:
				if s, err := f.Generate(ctx, askModel(model, fmt.Sprint("r", i), "hello")); err == nil {
					_, _, _ = collect(s)
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, ctx.Err())
	require.NoError(t, f.Start(""))
	require.NoError(t, f.Start("m1"))
	says(t, f, "m0", "x", "all is well")
	says(t, f, "m1", "y", "all is well")
}
