package download

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// held has a site answer nothing until the channel is closed. started is closed when it
// has been asked.
func held(s *site) (started, open chan struct{}) {
	started, open = make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.do(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		once.Do(func() { close(started) })
		select {
		case <-open:
			return false
		case <-r.Context().Done():
			return true
		}
	})
	return started, open
}

// callers is how many wait for a path.
func (d *Downloader) callersOf(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[path]; j != nil {
		return j.callers
	}
	return 0
}

type result struct {
	sum string
	err error
}

func (b *bench) start(ctx context.Context, f File, report func(Progress)) chan result {
	out := make(chan result, 1)
	go func() {
		sum, err := b.Fetch(ctx, f, report)
		out <- result{sum, err}
	}()
	return out
}

func (b *bench) waitForCallers(n int) {
	require.Eventually(b.t, func() bool { return b.callersOf(b.file.Path) == n }, 10*time.Second, time.Millisecond)
}

func TestFetchesOfOneFileAreOne(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	_, open := held(s)
	b := newBench(t, s, quick(""))
	var results []chan result
	for range 5 {
		results = append(results, b.start(t.Context(), b.file, nil))
	}
	b.waitForCallers(5)
	ctx, cancel := context.WithCancelCause(t.Context())
	leaver := b.start(ctx, b.file, nil)
	b.waitForCallers(6)
	bored := errors.New("bored")
	cancel(bored)
	require.ErrorIs(t, (<-leaver).err, bored)
	close(open)
	for _, r := range results {
		got := <-r
		require.NoError(t, got.err)
		require.Equal(t, digest(data), got.sum)
	}
	b.has(data)
	require.EqualValues(t, len(data), s.served.Load())
}

func TestTheLastCallerStopsTheDownload(t *testing.T) {
	data := noise(1, 1<<20)
	s := serve(t, data)
	started, open := held(s)
	b := newBench(t, s, quick(""))
	ctx, cancel := context.WithCancel(t.Context())
	one, two := b.start(ctx, b.file, nil), b.start(ctx, b.file, nil)
	b.waitForCallers(2)
	<-started
	cancel()
	require.ErrorIs(t, (<-one).err, context.Canceled)
	require.ErrorIs(t, (<-two).err, context.Canceled)
	require.Zero(t, b.callersOf(b.file.Path))
	b.leftNothing()
	_, err := b.Fetch(ctx, b.file, nil)
	require.ErrorIs(t, err, context.Canceled)
	close(open)
	_, err = b.fetch()
	require.NoError(t, err)
	b.has(data)
}

// Another file for the same path waits for its turn.
func TestAnotherFileForThePathWaits(t *testing.T) {
	first, second := noise(1, 1<<20), noise(2, 1<<20)
	s, other := serve(t, first), serve(t, second)
	started, open := held(s)
	b := newBench(t, s, quick(""))
	one := b.start(t.Context(), b.file, nil)
	<-started
	f := b.file
	f.URL, f.SHA256 = other.URL, digest(second)
	two := b.start(t.Context(), f, nil)
	close(open)
	got := <-one
	require.NoError(t, got.err)
	require.Equal(t, digest(first), got.sum)
	got = <-two
	require.NoError(t, got.err)
	require.Equal(t, digest(second), got.sum)
	b.has(second)
}

// Two Downloaders are to each other what two processes are.
func TestAnotherDownloaderWaitsAndInherits(t *testing.T) {
	data := noise(1, 4<<20)
	for _, told := range []bool{true, false} {
		s := serve(t, data)
		b := newBench(t, s, quick(""))
		if told {
			b.file.SHA256 = digest(data)
		}
		var gate sync.Once
		half, open := make(chan struct{}), make(chan struct{})
		s.do(func(_ int, _ http.ResponseWriter, _ *http.Request) bool {
			if s.served.Load() > 1<<20 {
				gate.Do(func() { close(half) })
				<-open
			}
			return false
		})
		one := b.start(t.Context(), b.file, nil)
		<-half
		second := &bench{t: t, file: b.file, Downloader: New(b.o)}
		saw := make(chan Progress, 1)
		two := second.start(t.Context(), b.file, func(p Progress) {
			if p.Done > 0 && p.Total > 0 {
				select {
				case saw <- p:
				default:
				}
			}
		})
		p := <-saw
		require.EqualValues(t, len(data), p.Total)
		require.Less(t, p.Done, p.Total)
		close(open)
		for _, r := range []chan result{one, two} {
			got := <-r
			require.NoError(t, got.err)
			require.Equal(t, digest(data), got.sum)
		}
		b.has(data)
		require.EqualValues(t, len(data), s.served.Load(), "told %v", told)
	}
}

func TestAnotherDownloaderTakesOver(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	ctx, cancel := context.WithCancel(t.Context())
	var gate sync.Once
	half, open := make(chan struct{}), make(chan struct{})
	s.do(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if s.served.Load() > 1<<20 {
			gate.Do(func() { close(half) })
			select {
			case <-open:
			case <-r.Context().Done():
				return true
			}
		}
		return false
	})
	one := b.start(ctx, b.file, nil)
	<-half
	second := &bench{t: t, file: b.file, Downloader: New(b.o)}
	saw := make(chan struct{})
	var once sync.Once
	two := second.start(t.Context(), b.file, func(p Progress) {
		if p.Done > 0 {
			once.Do(func() { close(saw) })
		}
	})
	<-saw
	var e *Error
	require.ErrorAs(t, second.Discard(b.file.Path), &e)
	require.Equal(t, Busy, e.Kind)
	freed, err := second.Sweep(0)
	require.NoError(t, err)
	require.Zero(t, freed, "what runs stays")
	cancel()
	require.ErrorIs(t, (<-one).err, context.Canceled)
	close(open)
	got := <-two
	require.NoError(t, got.err)
	require.Equal(t, digest(data), got.sum)
	b.has(data)
	require.EqualValues(t, len(data), b.count.Load())
}

func TestProgress(t *testing.T) {
	data := noise(1, 8<<20)
	s := serve(t, data)
	o := quick("")
	o.BytesPerSecond = 16 << 20
	b := newBench(t, s, o)
	var all []Progress
	began := time.Now()
	_, err := b.Fetch(t.Context(), b.file, func(p Progress) { all = append(all, p) })
	require.NoError(t, err)
	took := time.Since(began)
	require.Greater(t, took, 400*time.Millisecond, "8 MiB at 16 MiB/s")
	require.Greater(t, len(all), 5)
	last := all[len(all)-1]
	require.Equal(t, last.Total, last.Done)
	require.EqualValues(t, len(data), last.Total)
	grown := 0
	for i, p := range all[1:] {
		if !p.Verifying && p.BytesPerSecond > 1<<20 && p.ETA > 0 && p.Done > all[i].Done {
			grown++
		}
	}
	require.Greater(t, grown, 3)
}

func TestDiscardAndSweep(t *testing.T) {
	data := noise(1, 4<<20)
	s := serve(t, data)
	o := quick("")
	var ahead atomic.Int64 // of the clock
	o.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	b := newBench(t, s, o)
	list, err := b.Partials()
	require.NoError(t, err)
	require.Empty(t, list)
	freed, err := b.Sweep(0)
	require.NoError(t, err)
	require.Zero(t, freed)
	require.NoError(t, b.Discard(b.file.Path))

	interrupted(t, s, b)
	require.WithinDuration(t, time.Now(), b.partial().Touched, time.Minute)
	require.NoError(t, b.Discard("/another"))
	b.partial()
	require.NoError(t, b.Discard(b.file.Path))
	b.leftNothing()

	s.served.Store(0)
	interrupted(t, s, b)
	stranger := filepath.Join(b.o.Parts, "notes.txt")
	require.NoError(t, os.WriteFile(stranger, nil, 0o600))
	freed, err = b.Sweep(time.Hour)
	require.NoError(t, err)
	require.Zero(t, freed)
	ahead.Store(int64(2 * time.Hour))
	done := b.partial().Done
	freed, err = b.Sweep(time.Hour)
	require.NoError(t, err)
	require.GreaterOrEqual(t, freed, done)
	require.Less(t, freed, int64(len(data)), "holes take no room")
	require.FileExists(t, stranger)
	require.NoError(t, os.Remove(stranger))
	b.leftNothing()
}

// Whoever opened a lock's file before it was deleted doesn't end up with a lock of its
// own.
func TestALockThatIsDeletedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	names := filesOf(dir, "/m")
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for got := 0; got < 200; {
				lock, err := names.take()
				if err != nil || lock == nil {
					continue
				}
				most.Store(max(most.Load(), inside.Add(1)))
				inside.Add(-1)
				if err := names.end(lock); err != nil {
					panic(err)
				}
				got++
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, most.Load())
}
