package engine

import (
	"runtime"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/admit"
	"samovar/engine/internal/sched"
)

// capacity is what a worker with that model offers, with a guess at its speed that
// is good enough until the first steps were measured. A decode step reads every
// weight; a row of a prompt takes two operations for each. A CPU core reads 10 GB/s and
// does 1.5·10¹¹ operations a second, and most of a step grows with its rows
// (ENGINE.md §2, §3, §8); Apple's GPUs do better, and there a batch costs little more
// than a single row.
func capacity(m infer.Model, threads int) admit.Capacity {
	if threads == 0 {
		threads = runtime.NumCPU()
	}
	read, compute, fixed := 10e9*float64(min(threads, 4)), 1.5e11*float64(threads), 0.4
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		read, compute, fixed = 80e9, 3e12, 0.9
	}
	inTime := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	return admit.Capacity{
		Sequences: m.Sequences, Cells: m.PoolCells, ContextTokens: m.ContextTokens, Headroom: sched.Headroom,
		DecodeStep: inTime(float64(m.FileBytes) / read), PrefillRow: inTime(2 * float64(m.Parameters) / compute), Fixed: fixed,
	}
}
