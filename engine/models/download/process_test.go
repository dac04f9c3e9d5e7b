package download

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child is a process that downloads.
type child struct {
	*exec.Cmd
	out strings.Builder
}

func (p part) start(t *testing.T) *child {
	t.Helper()
	script, err := json.Marshal(p)
	require.NoError(t, err)
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), play+"="+string(script))
	c.Stdout, c.Stderr = &c.out, os.Stderr
	require.NoError(t, c.Start())
	return c
}

// kill ends it as the system does when memory is short, and waits for it.
func (c *child) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
}

func TestKilledProcessesLoseLittle(t *testing.T) {
	const kills = 5
	for seed := range uint64(1) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := noise(byte(seed), 128<<20)
		s := serve(t, data)
		dir := t.TempDir()
		p := part{
			File:  File{URL: s.URL, Path: filepath.Join(dir, "model.gguf")},
			Parts: filepath.Join(dir, "parts"), Counter: filepath.Join(dir, "counter"),
		}
		counted, err := openCounter(p.Counter)
		require.NoError(t, err)
		var mu sync.Mutex // of r
		for i := range int64(kills) {
			// Somewhere in its fifth of the file.
			mu.Lock()
			limit := (i*int64(len(data)) + r.Int64N(int64(len(data)))) / kills
			mu.Unlock()
			reached := make(chan struct{}, 1)
			s.cutAt(func(_ int, from, to int64) int64 {
				if s.served.Load()+to-from < limit {
					return -1
				}
				nudge(reached)
				mu.Lock()
				defer mu.Unlock()
				return r.Int64N(to - from + 1)
			})
			c := p.start(t)
			<-reached
			c.kill(t)
		}
		s.cutAt(nil)
		c := p.start(t)
		require.NoError(t, c.Wait())
		require.Equal(t, digest(data), c.out.String())
		got, err := os.ReadFile(p.File.Path)
		require.NoError(t, err)
		require.Equal(t, digest(data), digest(got))
		t.Logf("seed %d: %d bytes received of %d, %.4f", seed, counted.Load(), len(data), float64(counted.Load())/float64(len(data)))
		require.Less(t, float64(counted.Load()), 1.02*float64(len(data)))
		entries, err := os.ReadDir(p.Parts)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

// A process that dies leaves its lock, and the next one goes on.
func TestAnotherProcessTakesOver(t *testing.T) {
	data := noise(1, 8<<20)
	s := serve(t, data)
	b := newBench(t, s, quick(""))
	half := make(chan struct{}, 1)
	s.do(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if s.served.Load() > 4<<20 {
			nudge(half)
			<-r.Context().Done()
			return true
		}
		return false
	})
	p := part{File: b.file, Parts: b.o.Parts, Counter: filepath.Join(t.TempDir(), "counter")}
	c := p.start(t)
	<-half
	saw := make(chan struct{}, 1)
	mine := b.start(t.Context(), b.file, func(p Progress) {
		if p.Done > 0 {
			nudge(saw)
		}
	})
	<-saw
	require.Zero(t, b.count.Load(), "it only looks on")
	require.NoError(t, c.Process.Kill())
	s.do(nil)
	require.Error(t, c.Wait())
	got := <-mine
	require.NoError(t, got.err)
	require.Equal(t, digest(data), got.sum)
	b.has(data)
	require.Less(t, b.count.Load(), int64(len(data)))
}
