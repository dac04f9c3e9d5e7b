package engine

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// open runs an engine until the test ends.
func open(t *testing.T, cfg Config) *Engine {
	e := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, infer.StateStopped, e.Status().State)
	})
	return e
}

func reach(t *testing.T, e *Engine, s infer.State) infer.Status {
	t.Helper()
	require.Eventually(t, func() bool { return e.Status().State == s }, 20*time.Second, 5*time.Millisecond, "state %s", s)
	return e.Status()
}

// inFlight is how many requests have not ended.
func inFlight(e *Engine) int {
	s := e.Status()
	return s.Active + s.Queued
}

func ask(id, say string) infer.Request {
	return infer.Request{ID: id, Messages: []infer.Message{{Role: infer.RoleUser, Content: say}}}
}

// collect reads a stream to its end.
func collect(s infer.Stream) (text string, end *infer.End, err error) {
	for {
		ev, err := s.Next(context.Background())
		if err != nil {
			return text, end, err
		}
		text += ev.Text
		if ev.End != nil {
			end = ev.End
		}
	}
}

func TestGenerate(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	status := reach(t, e, infer.StateReady)
	require.Equal(t, "m", status.Model.ID)
	require.Equal(t, 100, status.Model.ContextTokens)
	require.NotZero(t, status.WorkerPID)

	for _, name := range []string{"", "m", "alias"} {
		r := ask("r-"+name, "hello there friend")
		r.Model = name
		s, err := e.Generate(context.Background(), r)
		require.NoError(t, err)
		require.Equal(t, 3, s.Accepted().PromptTokens)
		text, end, err := collect(s)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, "hello there friend", text)
		require.Equal(t, infer.FinishStop, end.Reason)
		s.Close()
	}
}

func TestRefusals(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	r := ask("a", "x")
	r.Model = "gpt-9"
	_, err := e.Generate(context.Background(), r)
	require.Equal(t, infer.CodeModelNotFound, infer.CodeOf(err))
	require.ErrorContains(t, err, "gpt-9")

	_, err = e.Generate(context.Background(), ask("b", "too long"))
	require.Equal(t, infer.CodeContextLength, infer.CodeOf(err))

	s, err := e.Generate(context.Background(), ask("same", "wait"))
	require.NoError(t, err)
	defer s.Close()
	_, err = e.Generate(context.Background(), ask("same", "wait"))
	require.Equal(t, infer.CodeInternal, infer.CodeOf(err))
}

func TestCancellingReachesTheWorker(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	witness, err := e.Generate(context.Background(), ask("witness", "wait"))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	s, err := e.Generate(ctx, ask("watched", "wait"))
	require.NoError(t, err)
	cancel()
	_, err = s.Next(context.Background())
	require.ErrorIs(t, err, context.Canceled)
	text, _, err := collect(witness)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "cancelled watched", text)
	witness.Close()
}

func TestARequestThatCannotBeSentFailsAlone(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	bad, nan := ask("bad", "hello"), math.NaN()
	bad.Sampling.Temperature = &nan // JSON has no word for it
	_, err := e.Generate(ctx, bad)
	require.Equal(t, infer.CodeInvalid, infer.CodeOf(err))
	s, err := e.Generate(ctx, ask("good", "hello"))
	require.NoError(t, err)
	text, _, _ := collect(s)
	require.Equal(t, "hello", text)
	require.Zero(t, inFlight(e))
}

func TestAWorkerThatDoesNotLeaveIsKilled(t *testing.T) {
	t.Parallel()
	e := New(fakeConfig(t, "deaf"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx) }()
	status := reach(t, e, infer.StateReady)
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(5 * stopGrace):
		process, err := os.FindProcess(status.WorkerPID)
		require.NoError(t, err)
		_ = process.Kill()
		<-done
		require.Fail(t, "Serve waits for a worker that does not leave")
	}
}

func TestTooMuchIsShed(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	reach(t, e, infer.StateReady)
	for i := range DefaultQueueMax {
		s, err := e.Generate(context.Background(), ask(strings.Repeat("i", i+1), "wait"))
		require.NoError(t, err)
		defer s.Close()
	}
	_, err := e.Generate(context.Background(), ask("one more", "wait"))
	require.Equal(t, infer.CodeOverloaded, infer.CodeOf(err))
	var shed *infer.Error
	require.ErrorAs(t, err, &shed)
	require.Positive(t, shed.RetryAfter)
	require.Equal(t, infer.ShedQueueFull, shed.Shed)
	status := e.Status()
	require.Equal(t, map[infer.ShedReason]uint64{infer.ShedQueueFull: 1}, status.Sheds)
	require.Equal(t, DefaultQueueMax, status.Queued, "the fake worker never says that one is active")
	require.Positive(t, status.EstimatedWait)
}

func TestADeadWorkerIsReplaced(t *testing.T) {
	e := open(t, fakeConfig(t, "good"))
	first := reach(t, e, infer.StateReady)
	s, err := e.Generate(context.Background(), ask("r", "die"))
	require.NoError(t, err)
	text, end, err := collect(s)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "last words and more", text, "the answer goes on where it was")
	require.Positive(t, end.Anatomy.TTFT)
	require.Less(t, end.Anatomy.TTFT, end.Anatomy.TTFT+end.Anatomy.Decode)

	require.Eventually(t, func() bool {
		s := e.Status()
		return s.State == infer.StateReady && s.Restarts == 1 && s.WorkerPID != first.WorkerPID
	}, 20*time.Second, 5*time.Millisecond)
	s, err = e.Generate(context.Background(), ask("again", "works"))
	require.NoError(t, err)
	text, _, _ = collect(s)
	require.Equal(t, "works", text)
}

func TestStartsThatFailAreNotRepeatedForEver(t *testing.T) {
	for part, want := range map[string]struct {
		reason, hint string
		starts       int
	}{
		"badmodel":    {reason: "It is no GGUF.", hint: "Get another."},
		"oldversion":  {reason: "v0-ancient", hint: "same release"},
		"diesloading": {reason: "GGML_ASSERT(n_layer > 0) failed", hint: "broken", starts: loadAttempts},
		"nonsense":    {reason: "malformed frame"},
	} {
		t.Run(part, func(t *testing.T) {
			cfg := fakeConfig(t, part)
			e := open(t, cfg)
			status := reach(t, e, infer.StateFailed)
			require.Contains(t, status.Reason, want.reason)
			require.Contains(t, status.Hint, want.hint)
			require.Zero(t, status.WorkerPID)
			_, err := e.Generate(context.Background(), ask("r", "x"))
			require.Equal(t, infer.CodeFailed, infer.CodeOf(err))
			if want.starts > 0 {
				starts, err := os.ReadFile(cfg.Model.Path + ".count")
				require.NoError(t, err)
				require.Len(t, strings.Fields(string(starts)), want.starts)
			}
		})
	}
	t.Run("no such worker", func(t *testing.T) {
		cfg := fakeConfig(t, "good")
		cfg.WorkerPath += "-missing"
		require.Contains(t, reach(t, open(t, cfg), infer.StateFailed).Hint, "Install")
	})
	t.Run("a model that cannot be prepared", func(t *testing.T) {
		cfg := fakeConfig(t, "good")
		cfg.Model.Prepare = func(context.Context, func(float64)) (string, error) { return "", errors.New("disk full") }
		require.Contains(t, reach(t, open(t, cfg), infer.StateFailed).Reason, "disk full")
	})
}

func TestWhileItStartsRequestsAreToldToReturn(t *testing.T) {
	cfg := fakeConfig(t, "good")
	release := make(chan struct{})
	cfg.Model.Prepare = func(_ context.Context, progress func(float64)) (string, error) {
		progress(0.25)
		<-release
		return cfg.Model.Path, nil
	}
	e := open(t, cfg)
	require.Eventually(t, func() bool { return e.Status().Progress == 0.25 }, 5*time.Second, time.Millisecond)
	_, err := e.Generate(context.Background(), ask("r", "x"))
	require.Equal(t, infer.CodeStarting, infer.CodeOf(err))
	require.ErrorContains(t, err, "25 %")
	close(release)
	reach(t, e, infer.StateReady)
}

func TestASlowReaderLosesNothingAndBlocksNobody(t *testing.T) {
	s := newStream("x")
	s.cancel = func() {}
	for range 1000 {
		s.push(infer.Event{Text: "é", Tokens: 1})
	}
	s.push(infer.Event{End: &infer.End{Reason: infer.FinishStop}})
	ev, err := s.Next(context.Background())
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("é", 1000), ev.Text)
	require.Equal(t, 1000, ev.Tokens)
	require.NotNil(t, ev.End)
	_, err = s.Next(context.Background())
	require.ErrorIs(t, err, io.EOF)
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for n := 1; n <= 7; n++ {
		got = append(got, backoff(n))
	}
	s := time.Second
	require.Equal(t, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 16 * s}, got)
}

func TestWhichEndsAreFinal(t *testing.T) {
	refused := &failure{reason: "no"}
	died := errors.New("segmentation fault")
	for name, tc := range map[string]struct {
		err    error
		deaths int
		served bool
		final  string
	}{
		"a new model that is refused":              {err: refused, deaths: 1, final: "no"},
		"a new model that kills once":              {err: died, deaths: 1},
		"a new model that kills again":             {err: died, deaths: loadAttempts, final: "while loading"},
		"one that was served is refused":           {err: refused, deaths: 1, served: true},
		"one that was served kills now":            {err: died, deaths: loadAttempts, served: true},
		"the budget is spent":                      {err: died, deaths: restartBudget, served: true, final: "segmentation fault"},
		"the budget is spent, lastly by a refusal": {err: refused, deaths: restartBudget, served: true, final: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			f := final(tc.err, tc.deaths, tc.served)
			if tc.final == "" {
				require.Nil(t, f)
				return
			}
			require.Contains(t, f.reason, tc.final)
		})
	}
}
