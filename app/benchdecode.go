package app

import (
	"context"

	"samovar/app/bench"
	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/infer"
)

// benchDecode serves the model on a port of its own, measures it against the
// raw loop, and prints what came out.
func benchDecode(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) error {
	progress := newProgress(p.Stderr)
	defer progress.done()
	return serveForBench(ctx, s, where, engine.Keep{}, progress, func(on served) error {
		result, err := bench.Decode(ctx, bench.Config{
			BaseURL: on.base,
			Raw:     on.engine.RawDecode,
			Streams: s.Bench.Streams, Tokens: s.Bench.Tokens, Rounds: s.Bench.Rounds,
			Progress: progress.show,
		})
		if err != nil {
			return err
		}
		progress.done()
		report := bench.Report{Version: engine.BuildVersion(), Machine: bench.ThisMachine(), Model: describe(on.status, s), Result: result}
		if inv.json {
			return report.WriteJSON(p.Stdout)
		}
		return report.WriteTable(p.Stdout)
	})
}

func describe(st infer.Status, s config.Settings) bench.Model {
	m := st.Model
	return bench.Model{
		ID: m.ID, Name: m.Name, Architecture: m.Architecture, Parameters: m.Parameters, FileBytes: m.FileBytes,
		ContextCells: m.PoolCells, KVType: s.KVType, Threads: s.Threads, LoadSeconds: st.LoadTime.Seconds(),
	}
}
