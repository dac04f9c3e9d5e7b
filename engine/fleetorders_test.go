package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// A model whose requests have ended makes room at once, whatever its turn was to be.
func TestTurnsEndWithTheRequests(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	s, err := f.Generate(t.Context(), askModel("m0", "a", "wait"))
	require.NoError(t, err)
	waits := generate(t.Context(), f.members()[1].Engine, ask("b", "hello"))
	require.Eventually(t, func() bool { return state(f, "m1").Reason != "" }, 5*time.Second, time.Millisecond)
	s.Close()
	select {
	case g := <-waits:
		require.NoError(t, g.err)
		g.stream.Close()
	case <-time.After(5 * time.Second):
		require.Fail(t, "it still waits")
	}
}

// What nobody but the user ordered does not undo a stop.
func TestStoppedStaysStopped(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	says(t, f, "m1", "a", "hello")
	require.NoError(t, f.Stop(t.Context(), ""))
	m := f.members()[1]
	other := cfg.Models[1]
	for name, meanwhile := range map[string]func(){
		"a request that came before": m.cfg.Wanted,
		"room for another":           func() { f.dismiss(t.Context(), m, "There is another.") },
		"a load that failed": func() {
			f.mu.Lock()
			f.all[0].evicted = []*member{m}
			f.mu.Unlock()
			f.all[0].mu.Lock()
			f.all[0].status.State = infer.StateFailed
			f.all[0].mu.Unlock()
			f.bringBack()
			f.all[0].mu.Lock()
			f.all[0].status.State = infer.StateStopped
			f.all[0].mu.Unlock()
		},
		"settings": func() {
			s := other.settings()
			s.Threads = 3
			require.NoError(t, f.Apply("", s))
		},
		"an agent": func() { _ = m.awake(t.Context()) },
	} {
		meanwhile()
		for _, s := range f.Overview().Models {
			require.Equal(t, infer.StateStopped, s.State, "%s: %s", s.Model.ID, name)
		}
	}
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, f.Start(""))
	reaches(t, f, "m1", infer.StateUnloaded)
	require.Zero(t, state(f, "m1").UnloadTime, "being stopped is no swap")
	says(t, f, "m1", "b", "again")
}

// Settings that come while a worker is loaded with others are those of the next.
func TestSettingsChangeDuringALoad(t *testing.T) {
	e, _, letGo := restarting(t)
	e.Apply(Settings{KVType: "f16", Threads: 3})
	letGo()
	require.Eventually(t, func() bool { s := e.Status(); return s.State == infer.StateReady && s.Loads == 3 }, 20*time.Second, time.Millisecond)
	require.Equal(t, 3, e.worked.Threads)
}

// A larger context takes more memory, and what it takes is asked for.
func TestOtherSettingsTakeOtherRoom(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	before := state(f, "m0").Bytes
	s := cfg.Models[0].settings()
	s.ContextTokens, s.KVBytes = 1024, 1<<30
	require.NoError(t, f.Apply("m0", s))
	require.Eventually(t, func() bool { s := state(f, "m0"); return s.State == infer.StateReady && s.Bytes > before }, 20*time.Second, time.Millisecond)
	require.Equal(t, state(f, "m0").Bytes, f.Overview().Memory.Taken)
	says(t, f, "m0", "a", "hello")
}

// Settings with which a model fits into no budget are taken back.
func TestSettingsThatFitNowhereAreTakenBack(t *testing.T) {
	cfg := fleetConfig(t, "good")
	cfg.Memory = need(t, cfg) + 1
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	s := cfg.Models[0].settings()
	s.ContextTokens, s.KVBytes = 1024, 1<<30
	require.NoError(t, f.Apply("m0", s))
	require.Eventually(t, func() bool { s := state(f, "m0"); return s.State == infer.StateReady && s.Loads == 2 }, 20*time.Second, time.Millisecond)
	require.Equal(t, 64, f.Default().config().ContextTokens)
	require.Equal(t, state(f, "m0").Bytes, f.Overview().Memory.Taken)
}

// Nobody waits for what is over, and nothing comes back to life.
func TestOrdersAfterTheEnd(t *testing.T) {
	c := fakeConfig(t, "good")
	c.OnDemand = true
	e := New(c)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx) }()
	e.Start("The test wants it.")
	reach(t, e, infer.StateReady)
	cancel()
	require.NoError(t, <-served)
	within, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	require.NoError(t, e.Unload(within, "again"))
	require.NoError(t, e.Stop(within))
	e.Start("The test wants it.")
	e.Wake("The test wants it.")
	require.NoError(t, e.settle(within))
	require.Equal(t, infer.StateStopped, e.Status().State)
	_, err := e.Generate(within, ask("a", "hello"))
	require.Equal(t, infer.CodeStopped, infer.CodeOf(err))
}

// A model that takes longer to load than a request may wait is loaded all the same.
func TestALoadLongerThanTheQueueMayBe(t *testing.T) {
	c := fakeConfig(t, "good")
	c.OnDemand = true
	var e *Engine
	c.Wanted = func() { e.Wake("It was asked for.") }
	e = New(c)
	e.status.LoadTime = 10 * time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-served)
	}()
	require.NoError(t, e.Unload(t.Context(), "The test wants it."))
	s, err := e.Generate(t.Context(), ask("a", "hello"))
	require.NoError(t, err)
	s.Close()
}

// A request that comes while an engine becomes idle is not lost.
func TestARequestComesAtTheLastMoment(t *testing.T) {
	c := fakeConfig(t, "good")
	c.OnDemand = true
	e := New(c)
	require.False(t, e.begin(func() {}))
	s, err := e.roster.add(ask("a", "hello"))
	require.NoError(t, err)
	e.Wake("It was asked for.")
	e.idle()
	require.NoError(t, s.failure())
	require.Equal(t, infer.StateStarting, e.Status().State)
	s.Close()
}

// A model that is on its way out can be made the default one, and its agents asked for.
func TestAModelThatLeavesIsWaitedFor(t *testing.T) {
	cfg := fleetConfig(t, "good", "good")
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	m := f.members()[1]
	for i := range 40 {
		says(t, f, "m1", fmt.Sprint("r", i), "hello")
		left := make(chan error, 1)
		feed, stop := f.Transitions()
		go func() { left <- m.Unload(t.Context(), "again") }()
		require.Equal(t, infer.StateDraining, (<-feed).To)
		stop()
		if i%2 == 0 {
			require.NoError(t, f.Use(t.Context(), cfg.Models[1]))
		} else {
			require.NoError(t, m.awake(t.Context()))
			_, err := m.Agents(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, <-left)
	}
}

// A worker that takes nothing holds up nobody but those who want it.
func TestAWorkerThatTakesNothing(t *testing.T) {
	f := NewFleet(fleetConfig(t, "good"))
	m := f.members()[0]
	l := newLink(m.roster, nil)
	for range outgoingFrames {
		l.send(nil)
	}
	m.roster.link = l
	m.status.State = infer.StateReady
	f.SetPower(Power{Pressure: "critical"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.look(time.Now(), nil)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		f.remember(ctx, m)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		l.die()
		require.Fail(t, "it waits for the worker")
	}
}

// What a model has been promised, but not taken yet, is not promised to another.
func TestNoMemoryIsPromisedTwice(t *testing.T) {
	const all = 100
	for name, tc := range map[string]struct {
		free  int64 // now
		state infer.State
		admit bool
	}{
		"nothing is taken yet":              {all, infer.StateStarting, false},
		"some of it is":                     {all - 20, infer.StateStarting, false},
		"there is enough, whatever it is":   {200, infer.StateStarting, true},
		"it is loaded, and there is none":   {all - 60, infer.StateReady, false},
		"it is loaded, and there is enough": {all - 20, infer.StateReady, true},
	} {
		cfg := fleetConfig(t, "good", "good")
		cfg.Budget = func(taken int64) (int64, error) { return tc.free + taken, nil }
		f := NewFleet(cfg)
		m := f.members()[0]
		m.in, m.bytes, m.status.State, m.pinned = true, 60, tc.state, true
		f.members()[1].status.State = infer.StateStarting
		a := &asking{m: f.members()[1], need: func(int64) (int64, error) { return 50, nil }, granted: make(chan grant, 1)}
		f.asking = []*asking{a}
		f.look(time.Now(), func(*member, string) {})
		select {
		case g := <-a.granted:
			require.True(t, tc.admit || g.bytes < 50, name)
		default:
			require.False(t, tc.admit, name)
		}
	}
}

// Whatever is ordered, and asked, in whatever order: every request ends with its answer or
// with an error that says why, and in the end everything works and no memory is lost.
func TestAnyOrderOfOrders(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			anyOrders(t, seed)
		})
	}
}

func anyOrders(t *testing.T, seed uint64) {
	cfg := fleetConfig(t, "good", "good", "good", []string{"good", "badmodel"}[seed%2])
	more := cfg.Models[3]
	cfg.Models = cfg.Models[:3]
	cfg.Memory = need(t, cfg) * int64(3+4*(seed/2%2)) / 2 // room for one, or three
	cfg.IdleOnBattery = 5 * time.Millisecond
	f := openFleet(t, cfg)
	reaches(t, f, "m0", infer.StateReady)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for i := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		group.Go(func() {
			for j := range 25 {
				if i < 4 {
					anyOrder(ctx, f, rng, more)
				} else {
					anyRequest(ctx, t, f, rng, fmt.Sprint("r", i, "-", j))
				}
				time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		require.Fail(t, "something hangs", "%+v", f.Overview())
	}
	f.SetPower(Power{})
	for i := range 3 {
		require.NoError(t, f.Pin(fmt.Sprint("m", i), false))
	}
	for i := range 3 {
		model := fmt.Sprint("m", i)
		require.NoError(t, f.Start(model))
		says(t, f, model, "last", "all is well")
	}
	quiet(t, f)
	require.NoError(t, f.Unload(ctx, ""))
	quiet(t, f)
	require.Zero(t, f.Overview().Memory.Taken)
}

// A fleet that ends leaves nobody waiting, whatever goes on.
func TestTheEndInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		cfg := fleetConfig(t, "good", "good", "good", "good")
		more := cfg.Models[3]
		cfg.Models = cfg.Models[:3]
		cfg.Memory = need(t, cfg) + 1
		f := NewFleet(cfg)
		serving, end := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- f.Serve(serving) }()
		var group sync.WaitGroup
		for i := range 8 {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			group.Go(func() {
				for j := range 20 {
					if i < 4 {
						anyOrder(context.Background(), f, rng, more)
					} else {
						anyRequest(context.Background(), t, f, rng, fmt.Sprint("r", i, "-", j))
					}
				}
			})
		}
		time.Sleep(time.Duration(seed) * 30 * time.Millisecond)
		end()
		require.NoError(t, <-served)
		all := make(chan struct{})
		go func() { defer close(all); group.Wait() }()
		select {
		case <-all:
		case <-time.After(20 * time.Second):
			require.Fail(t, "somebody waits", "%+v", f.Overview())
		}
		require.Zero(t, f.Overview().Memory.Taken)
	}
}

// quiet requires that what is taken is what the models that are loaded take.
func quiet(t *testing.T, f *Fleet) {
	t.Helper()
	require.Eventually(t, func() bool {
		o := f.Overview()
		taken := int64(0)
		for _, s := range o.Models {
			if s.Active+s.Queued > 0 || s.WorkerPID == 0 && s.Bytes > 0 || s.State == infer.StateStarting || s.State == infer.StateDraining {
				return false
			}
			taken += s.Bytes
		}
		return taken == o.Memory.Taken
	}, 20*time.Second, time.Millisecond, "%+v", f.Overview())
}

// anyOrder gives a fleet an order by chance.
func anyOrder(ctx context.Context, f *Fleet, rng *rand.Rand, more Config) {
	model := fmt.Sprint("m", rng.IntN(3))
	all := model
	if rng.IntN(8) == 0 {
		all = ""
	}
	short, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
	defer cancel()
	wait := ctx
	if rng.IntN(2) == 0 {
		wait = short
	}
	switch rng.IntN(11) {
	case 0:
		_ = f.Stop(wait, all)
	case 1, 2:
		_ = f.Start(all)
	case 3:
		_ = f.Unload(wait, all)
	case 4:
		_ = f.Restart(all, "again")
	case 5:
		_ = f.Pin(model, rng.IntN(2) == 0)
	case 6:
		_ = f.Apply(all, Settings{KVType: "f16", ContextTokens: 64, KVBytes: rng.Int64N(2) << 20, Threads: rng.IntN(3)})
	case 7:
		if pid := state(f, model).WorkerPID; pid > 0 && rng.IntN(4) == 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case 8:
		f.SetPower(Power{OnBattery: rng.IntN(2) == 0})
	case 9:
		_ = f.Use(wait, more)
	case 10:
		_, _ = f.Agents(short)
		_ = f.members()[rng.IntN(3)].awake(wait)
	}
}

// anyRequest asks a fleet by chance, and requires that it is answered.
func anyRequest(ctx context.Context, t *testing.T, f *Fleet, rng *rand.Rand, id string) {
	r := askModel(fmt.Sprint("m", rng.IntN(3)), id, []string{"hello", "one two three", "wait"}[rng.IntN(3)])
	say := r.Messages[0].Content
	if rng.IntN(4) == 0 || say == "wait" {
		short, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(30))*time.Millisecond)
		defer cancel()
		ctx = short
	}
	text := ""
	s, err := f.Generate(ctx, r)
	if err == nil {
		text, _, err = collect(s)
		s.Close()
	}
	var refused *infer.Error
	switch {
	case errors.Is(err, io.EOF):
		assert.Equal(t, say, text)
	case errors.As(err, &refused):
		assert.NotEqual(t, infer.CodeInternal, refused.Code, "%v", err)
	default:
		assert.Error(t, ctx.Err(), "it ended with %v", err)
	}
}
