package worker

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/vfs"
)

// llama.cpp tells its pool, cell by cell, before each step if this is 3. It must be there
// when the process starts.
const debugPool = "LLAMA_KV_CACHE_DEBUG"

// decoding says when Decode is at work: the native pool is then as the account has it. It
// aborts each seventh step that is large enough.
type decoding struct {
	backend
	now   bool
	large int
}

func (d *decoding) Decode(rows []llama.Row) error {
	d.now = true
	defer func() { d.now = false }()
	if len(rows) >= 32 {
		if d.large++; d.large%7 == 0 {
			d.Abort()
			defer d.Resume()
		}
	}
	return d.backend.Decode(rows)
}

// poolMap is what llama.cpp logs of a pool: for each cell its sequence, "." for none, "M"
// for several; ok is false for other logs.
func poolMap(text string, cells int) (m []byte, ok bool) {
	for line := range strings.Lines(text) {
		m = append(m, strings.TrimSuffix(strings.TrimSpace(line), " *")...)
	}
	return m, len(m) == cells && !strings.ContainsAny(string(m), " :")
}

// accountMap is the same of our account.
func accountMap(p *kv.Pool) []byte {
	m := bytes.Repeat([]byte("."), p.Cells())
	p.Sequences(func(seq int, _ *kv.Sequence) {
		for _, run := range p.Places(seq, p.Cells()) {
			for c := run[0]; c < run[0]+run[1]; c++ {
				m[c] = byte('0' + seq)
			}
		}
	})
	for _, run := range p.SharedPlaces(p.Cells()) {
		for c := run[0]; c < run[0]+run[1]; c++ {
			m[c] = 'M'
		}
	}
	return m
}

// TestCellsAreWhereLlamaHasThem compares, before each step of the real engine, every cell of
// the account with llama.cpp's.
func TestCellsAreWhereLlamaHasThem(t *testing.T) {
	if os.Getenv(debugPool) != "3" {
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), debugPool+"=3")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
		return
	}
	lib, err := llama.Load(llamatest.LibDir(t))
	require.NoError(t, err)
	model, err := lib.OpenModel(llama.ModelParams{Path: llamatest.Guide(t)})
	require.NoError(t, err)
	defer model.Close()
	for name, kept := range map[string]bool{"nothing is kept": false, "KV comes back from disk": true} {
		t.Run(name, func(t *testing.T) { compareCells(t, model, kept) })
	}
}

func compareCells(t *testing.T, model *llama.Model, kept bool) {
	const cells, active, hot = 2 * padding, 4, 5 // sequences of one digit
	ctx, err := model.NewContext(llama.ContextParams{Cells: cells, Rows: 64, Sequences: active + hot, Threads: 1, KVType: "f16"})
	require.NoError(t, err)
	defer ctx.Close()
	r := newRig(t, llamatest.New(cells, 64), active)
	d, compared := &decoding{backend: backend{ctx}}, 0
	r.loop = newLoop(d, endless{model}, sizes{
		cells: cells, sequences: active, hot: hot, headroom: 10, cellBytes: 1000, skipCell: 20 * time.Microsecond,
		steps: sched.Limits{MaxRows: 64, MinChunk: 16, ITLTarget: 20 * time.Millisecond},
	}, r.receive, func() {}, func(*ticket) {})
	if kept {
		r.loop.keepIn(keepTo(t, vfs.NewMem()))
	}
	llama.WatchLog(func(text string) { // called by the loop
		native, ok := poolMap(text, cells)
		if !d.now || !ok {
			return
		}
		compared++
		if ours := accountMap(r.loop.pool); !bytes.Equal(native, ours) {
			t.Errorf("before step %d:\nllama.cpp %s\nours      %s", r.loop.steps.Count, native, ours)
			llama.WatchLog(nil)
		}
	})
	defer llama.WatchLog(nil)
	r.start()
	crowd(t, r, model, rand.New(rand.NewPCG(11, 12)))
	r.stop()
	if kept {
		r.loop.saveAll(time.Minute)
		require.Positive(t, r.loop.keep.restored)
	}
	p := r.level.Pool
	t.Logf("compared before %d steps; %d evictions, %d pauses, %d compactions, %d aborted, %d restored",
		compared, p.Evictions, p.Pauses, p.Compactions, r.loop.steps.Aborted, r.loop.keep.restored)
	require.Greater(t, compared, 1000)
	require.Positive(t, r.loop.steps.Aborted)
	require.Positive(t, p.Evictions)
	require.Positive(t, p.Compactions)
}

// crowd has many requests answered, of which some have much in common, and some are
// cancelled.
func crowd(t *testing.T, r *rig, model *llama.Model, rnd *rand.Rand) {
	cells := r.loop.sizes.cells
	system := strings.Repeat("You are the guide. ", 30)
	prompts := make([]string, 20)
	for i := range prompts {
		prompts[i] = []string{"", system, system + system, "Tea, please. "}[rnd.IntN(4)] + strings.Repeat(fmt.Sprint(rnd.IntN(5), " leaves "), 1+rnd.IntN(12))
	}
	var jobs []*job
	for i := range 120 {
		answer := 1 + rnd.IntN(24) + rnd.IntN(2)*rnd.IntN(80)
		if i < 4 { // at once, they outgrow the pool
			answer = cells / 2
		}
		tokens, err := model.Tokenize(prompts[rnd.IntN(len(prompts))], false)
		require.NoError(t, err)
		j := makeJob(fmt.Sprint(i), "", min(answer, cells-len(tokens)))
		j.tokens, j.sampling = tokens, llama.SamplerParams{TopP: 1, RepeatPenalty: 1}
		j.onCancel = r.loop.guard.cancel
		jobs = append(jobs, j)
		r.loop.inbox <- j
		if rnd.IntN(5) == 0 {
			jobs[rnd.IntN(len(jobs))].cancel()
		}
	}
	r.until("all end", func() bool {
		for _, j := range jobs {
			if r.end[j.id] == nil && !j.cancelled.Load() {
				return len(r.failed) > 0
			}
		}
		return true
	})
	require.Empty(t, r.failed)
}
