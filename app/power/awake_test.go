package power

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// kept is an Awake in a bubble, and what became of its helpers.
type kept struct {
	*Awake
	fail          chan error // ends the helper
	runs, running atomic.Int32
	told          chan error // the problems
}

func keep(t *testing.T, o AwakeOptions) *kept {
	k := &kept{fail: make(chan error), told: make(chan error, 10)}
	o.Run = func(ctx context.Context) error {
		k.runs.Add(1)
		k.running.Add(1)
		defer k.running.Add(-1)
		select {
		case <-ctx.Done():
			time.Sleep(time.Second) // it takes its time, the bubble's
			return ctx.Err()
		case err := <-k.fail:
			return err
		}
	}
	o.OnProblem = func(err error) { k.told <- err }
	k.Awake = OpenAwake(o)
	t.Cleanup(k.Close)
	return k
}

// after lets time pass, and returns how many helpers run and how many ran.
func (k *kept) after(d time.Duration) [2]int {
	synctest.Wait()
	time.Sleep(d) // the bubble's time
	synctest.Wait()
	return [2]int{int(k.running.Load()), int(k.runs.Load())}
}

// problem is the only one that was told since the last time.
func (k *kept) problem(t *testing.T) error {
	t.Helper()
	require.Len(t, k.told, 1)
	return <-k.told
}

func TestKeepIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		require.Equal(t, [2]int{0, 0}, k.after(time.Hour), "not asked yet")
		k.Keep(false)
		require.Equal(t, [2]int{0, 0}, k.after(time.Hour))
		k.Keep(true)
		k.Keep(true)
		require.Equal(t, [2]int{1, 1}, k.after(time.Hour))
		k.Keep(true)
		require.Equal(t, [2]int{1, 1}, k.after(time.Hour))
		k.Keep(false)
		k.Keep(false)
		require.Equal(t, [2]int{0, 1}, k.after(time.Hour))
		k.Keep(true)
		require.Equal(t, [2]int{1, 2}, k.after(time.Hour))
		require.Empty(t, k.told)
	})
}

func TestAHelperLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{Linger: 10 * time.Second})
		for range 5 {
			k.Keep(true)
			k.after(time.Minute)
			k.Keep(false)
			require.Equal(t, [2]int{1, 1}, k.after(9*time.Second))
		}
		k.Keep(true)
		k.after(0)
		k.Keep(false)
		require.Equal(t, [2]int{1, 1}, k.after(9*time.Second), "anew each time")
		require.Equal(t, [2]int{0, 1}, k.after(3*time.Second))
	})
}

func TestCloseWaitsForTheHelper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		k.Keep(true)
		require.Equal(t, [2]int{1, 1}, k.after(time.Minute))
		began := time.Now()
		k.Close()
		require.Zero(t, k.running.Load())
		require.Equal(t, time.Second, time.Since(began), "the helper's own time, no linger")
		k.Close()
		k.Keep(false)
		k.Keep(true)
		require.Equal(t, [2]int{0, 1}, k.after(time.Hour))
		require.Empty(t, k.told)
	})
}

func TestAHelperThatDiesIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		k.Keep(true)
		require.Equal(t, [2]int{1, 1}, k.after(time.Minute))
		killed := errors.New("killed")
		k.fail <- killed
		require.Equal(t, [2]int{0, 1}, k.after(999*time.Millisecond))
		require.Equal(t, [2]int{1, 2}, k.after(time.Millisecond))
		require.ErrorIs(t, k.problem(t), killed)

		k.after(time.Hour)
		k.fail <- nil
		require.Equal(t, [2]int{1, 3}, k.after(time.Second), "it ran well in between")
		require.ErrorIs(t, k.problem(t), errEnded)
	})
}

func TestAHelperThatKeepsDyingIsTriedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		k.Keep(true)
		go func() {
			for range 20 {
				k.fail <- errors.New("no bus")
			}
		}()
		require.Equal(t, [2]int{0, 5}, k.after(24*time.Second), "at 0, 1, 3, 7 and 15 s")
		require.Less(t, k.after(time.Hour)[1], 5+5+12)
		require.Equal(t, [2]int{1, 21}, k.after(2*time.Hour), "until one lives")
		require.ErrorContains(t, k.problem(t), "no bus")
	})
}

func TestNoHelperIsStartedThatNobodyWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		k.Keep(true)
		k.after(time.Second)
		k.fail <- errors.New("killed")
		k.Keep(false)
		require.Equal(t, [2]int{0, 1}, k.after(time.Hour))
		k.Keep(true)
		require.Equal(t, [2]int{1, 2}, k.after(0))
	})
}

func TestWhereNothingKeepsAwakeItIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, AwakeOptions{})
		k.Keep(true)
		k.after(0)
		k.fail <- errors.ErrUnsupported
		for range 3 {
			require.Equal(t, [2]int{0, 1}, k.after(time.Hour))
			k.Keep(false)
			k.Keep(true)
		}
		err := k.problem(t)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "may go to sleep")
	})
}

func TestCloseOfOneThatWasNeverAsked(t *testing.T) {
	OpenAwake(AwakeOptions{}).Close()
}
