package download

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// acceptance has the tests run that need minutes and gigabytes.
const acceptance = "SAMOVAR_DOWNLOAD_ACCEPTANCE"

const gib = 1 << 30

func needAcceptance(t *testing.T) {
	if os.Getenv(acceptance) == "" {
		t.Skip("set " + acceptance + "=1")
	}
}

// 1 GiB over connections that break 50 times, by a process that is killed 5 times.
func TestAcceptance(t *testing.T) {
	needAcceptance(t)
	const kills, cuts = 5, 50
	data := noise(1, gib)
	s := serve(t, data)
	dir := t.TempDir()
	p := part{
		File:  File{URL: s.URL, Path: filepath.Join(dir, "model.gguf"), SHA256: digest(data), Size: gib},
		Parts: filepath.Join(dir, "parts"), Counter: filepath.Join(dir, "counter"), Usual: true,
	}
	counted, err := openCounter(p.Counter)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var mu sync.Mutex
	var at []int64 // where in what was served connections break
	for range cuts {
		at = append(at, r.Int64N(gib))
	}
	slices.Sort(at)
	var made int
	s.cutAt(func(_ int, from, to int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		if made == len(at) || s.served.Load()+to-from < at[made] {
			return -1
		}
		made++
		return r.Int64N(to - from)
	})
	for i := range int64(kills) {
		limit := (i*gib + r.Int64N(gib)) / kills
		c := p.start(t)
		require.Eventually(t, func() bool { return s.served.Load() >= limit }, time.Minute, time.Millisecond)
		rss := peakRSS(c.Process.Pid)
		c.kill(t)
		t.Logf("killed at %s, RSS at most %s", size(counted.Load()), size(rss))
	}
	c := p.start(t)
	var rss int64 // of the last look before its end
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for running := true; running; {
		rss = max(rss, peakRSS(c.Process.Pid))
		select {
		case err := <-ended:
			require.NoError(t, err)
			running = false
		case <-time.After(time.Millisecond):
		}
	}
	require.Equal(t, p.File.SHA256, c.out.String())
	sum, n, err := digestOf(t.Context(), p.File.Path, new(atomic.Int64))
	require.NoError(t, err)
	require.EqualValues(t, gib, n)
	require.Equal(t, p.File.SHA256, sum)
	ratio := float64(counted.Load()) / gib
	t.Logf("%d cuts, %d kills: received %.4f of the file, served %.4f; RSS at most %s",
		made, kills, ratio, float64(s.served.Load())/gib, size(rss))
	require.LessOrEqual(t, ratio, 1.02)
	require.Less(t, rss, int64(64<<20))
}

// peakRSS is the most memory that a process has had so far; 0 where it isn't told. (What
// wait4 tells counts what the child had of us before it became another program.)
func peakRSS(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// How fast 1 GiB comes, next to curl, which neither hashes nor syncs.
func TestAcceptanceOfSpeed(t *testing.T) {
	needAcceptance(t)
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	data := noise(1, gib)
	s := serve(t, data)
	sum := digest(data)
	dir := t.TempDir()
	var theirs, synced, ours []time.Duration
	for i := range 7 {
		out := filepath.Join(dir, "curl")
		theirs = append(theirs, timed(func() { require.NoError(t, exec.Command(curl, "-s", "-o", out, s.URL).Run()) }))
		f, err := os.Open(out)
		require.NoError(t, err)
		synced = append(synced, theirs[i]+timed(func() { require.NoError(t, f.Sync()) }))
		require.NoError(t, f.Close())
		require.NoError(t, os.Remove(out))

		p := part{
			File:  File{URL: s.URL, Path: filepath.Join(dir, "model.gguf"), SHA256: sum},
			Parts: filepath.Join(dir, "parts"), Counter: filepath.Join(dir, "counter"), Usual: true,
		}
		ours = append(ours, timed(func() {
			c := p.start(t)
			require.NoError(t, c.Wait())
		}))
		require.NoError(t, os.Remove(p.File.Path))
	}
	speed := func(all []time.Duration) float64 {
		slices.Sort(all)
		return gib / all[len(all)/2].Seconds() / 1e6
	}
	t.Logf("median MB/s: curl %.0f, curl and fsync %.0f, ours with SHA-256 and fsync %.0f: %.2f of curl, %.2f of curl and fsync",
		speed(theirs), speed(synced), speed(ours), speed(ours)/speed(theirs), speed(ours)/speed(synced))
	require.GreaterOrEqual(t, speed(ours)/speed(theirs), 0.8)
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
