package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/vfs"
	"samovar/engine/internal/wire"
	"samovar/engine/models"
)

const (
	// queueBytes bounds what waits to be written. It is a matter of memory only: what
	// does not fit is saved later.
	queueBytes = 128 << 20
	// lockWait is how long the store of a worker that is just leaving is waited for.
	lockWait = wire.SaveFor + time.Second
	// openWait is how long a loaded model waits for its store.
	openWait = 2 * time.Second
)

// keeping opens the store beside the loading of the model.
type keeping struct{ opened chan *keptStore }

// startKeeping begins to open the store. The model's digest is part of it, and can
// take seconds the first time.
func startKeeping(cfg wire.Load, log *slog.Logger) *keeping {
	k := &keeping{make(chan *keptStore, 1)}
	if cfg.Keep.Dir == "" {
		k.opened <- &keptStore{off: "Keeping KV is turned off."}
		return k
	}
	go func() { k.opened <- openStore(cfg, log) }()
	return k
}

// deliver hands the store to the loop: before it starts if that does not take long.
func (k *keeping) deliver(l *loop) {
	select {
	case s := <-k.opened:
		l.keepIn(s)
	case <-time.After(openWait):
		l.keep.off = "The model's file is being read once, to know it again."
		go func() { l.stores <- <-k.opened }()
	}
}

func discard(s *keptStore) {
	if s.store != nil {
		_ = s.store.Close(context.Background()) // nothing was written
	}
}

// openStore opens the store of a model and its settings. Where that is not possible,
// the reason is told, and nothing is kept.
func openStore(cfg wire.Load, log *slog.Logger) *keptStore {
	sum, err := models.Digest(cfg.Path, filepath.Join(cfg.Keep.Dir, "digests"))
	if err != nil {
		return &keptStore{off: "The model's digest cannot be made: " + sentence(err)}
	}
	root := fingerprint(cfg, sum).ID()
	dir := filepath.Join(cfg.Keep.Dir, root.String()[:16])
	deadline := time.Now().Add(lockWait)
	for {
		s, err := store.Open(store.Config{
			Dir: dir, Fingerprint: root, Quota: cfg.Keep.QuotaBytes, Daily: cfg.Keep.DailyBytes,
			Memory: cfg.Keep.MemoryBytes, Queue: queueBytes, Spare: cfg.Keep.SpareBytes, Log: log,
		})
		switch {
		case err == nil:
			return &keptStore{store: s, root: root}
		case !errors.Is(err, vfs.ErrLocked):
			return &keptStore{off: fmt.Sprintf("The folder of kept KV, %s, cannot be used: %s", dir, sentence(err))}
		case time.Now().After(deadline):
			return &keptStore{off: fmt.Sprintf("Another Samovar uses the folder of kept KV, %s: nothing is saved or restored here.", dir)}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// fingerprint is all that KV depends on besides the tokens. What the model's own file
// says (RoPE and so on) is in its digest.
func fingerprint(cfg wire.Load, model [32]byte) blockfile.Fingerprint {
	return blockfile.Fingerprint{
		Model: model, KeyType: cfg.KVType, ValueType: cfg.KVType,
		RoPE: "the model's", Library: "ggml " + llama.GGMLVersion, Layout: runtime.GOOS + "/" + runtime.GOARCH + " unified flash", Namespace: cfg.Keep.Namespace,
	}
}

// saveAll keeps what is in the pool and writes what is queued, for at most so long.
func (l *loop) saveAll(most time.Duration) {
	select {
	case s := <-l.stores: // opened too late
		discard(s)
	default:
	}
	if !l.keep.on() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	if l.broken == nil {
		l.closeEchoes(len(l.echoes))
		l.tailsSaved = false
		l.saveTails()
	}
	if err := l.keep.store.Close(ctx); err != nil {
		l.keep.off = "Not all could be saved: " + sentence(err)
	}
	l.send(wire.KindPulse, wire.Pulse{Pool: l.poolStatus(), Steps: l.steps, Kept: l.keep.status(), Health: l.health.Health})
	l.flush()
}

// cancel is told of a request that was cancelled, by any goroutine.
func (l *loop) cancel(t *ticket) {
	l.guard.cancel(t)
	l.poke()
}
