package engine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/wire"
)

// Config says what to serve, and with what. New copies it.
type Config struct {
	// WorkerPath is the samovar-engine executable, LibDir the folder of
	// llama.cpp's libraries. See FindWorker.
	WorkerPath, LibDir string
	// StateDir is a private folder (0700) for the worker: its FFI library
	// unpacks a shared library there on macOS and trusts what it finds.
	StateDir string
	Model    ModelFile
	// ContextTokens is the most that prompt and answer may have; 0 takes the model's.
	ContextTokens int
	// KVType is the KV cache's element type, for instance f16.
	KVType string
	// KVBytes bounds the KV pool's memory; 0 leaves its size to the worker.
	KVBytes int64
	// Threads computes; 0 takes the cores that there are.
	Threads int
	// ChatTemplate replaces the model's own, if not empty.
	ChatTemplate string
	// QueueMax bounds the requests that run and wait, QueueWait how long one may have
	// to wait for its turn; 0 takes the defaults. More are shed.
	QueueMax  int
	QueueWait time.Duration
	Keep      Keep
	Log       *slog.Logger

	// OnDemand has the model loaded when the first request for it comes.
	OnDemand bool
	// Room, if not nil, is asked for memory before a worker is started. need says what the
	// model takes where there are most bytes for all, or why it cannot do with them. Room
	// returns when there is room, with what the model may take, or with need's or ctx's
	// error. Leave is called when that is free again.
	Room  func(ctx context.Context, need Need) (granted int64, err error)
	Leave func()
	// Wanted is called when a request comes for a model that is not loaded; Idle when the
	// last request has ended, and Moved when the state has changed, with a lock held. Any
	// of them may be nil.
	Wanted, Idle func()
	Moved        func(infer.Transition)
}

// Need says how many bytes a model takes where there are most.
type Need func(most int64) (bytes int64, err error)

// Keep says where KV is kept, and how much of it.
type Keep struct {
	// Dir is the folder for it; empty keeps none.
	Dir string
	// Quota bounds the bytes of a model's files, Daily what is written in a day (UTC);
	// 0 does not. Memory is how much of it is held in memory, too.
	Quota, Daily, Memory int64
	// Namespace keeps apart what must not be shared.
	Namespace string
}

// SpareBytes of the disk always stay free.
const SpareBytes = 2 << 30

func (k Keep) wire() wire.Keep {
	return wire.Keep{
		Dir: k.Dir, Namespace: k.Namespace, SpareBytes: SpareBytes, QuotaBytes: k.Quota, DailyBytes: k.Daily, MemoryBytes: k.Memory,
	}
}

// The limits of the queue where nothing else is asked for.
const (
	DefaultQueueMax  = 256
	DefaultQueueWait = 30 * time.Second
)

// ModelFile names the model to serve and where it is.
type ModelFile struct {
	// ID is the name by which requests ask for it; Aliases are others.
	ID      string
	Aliases []string
	// Path is the GGUF. If Prepare is set, it is called before the first load,
	// in the background, and its result replaces Path.
	Path string
	// Prepare makes the file. It reports progress, 0 … 1.
	Prepare func(ctx context.Context, progress func(fraction float64)) (path string, err error)
}

// BuildVersion returns the version of this build; the worker must have the same.
func BuildVersion() string { return wire.BuildVersion }

// LibDirEnv is the environment variable that names the folder of the engine
// libraries.
const LibDirEnv = "SAMOVAR_LIB_DIR"

// FindWorker finds the worker beside the running executable, and the engine
// libraries in $SAMOVAR_LIB_DIR, or in lib beside the executable or its folder,
// or in a macOS bundle's Frameworks.
func FindWorker() (workerPath, libDir string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	dir := filepath.Dir(exe)
	workerPath = filepath.Join(dir, "samovar-engine")
	if _, err := os.Stat(workerPath); err != nil {
		return "", "", fmt.Errorf("the engine is missing: %w; `make build` makes it", err)
	}
	if libDir = os.Getenv(LibDirEnv); libDir != "" {
		return workerPath, libDir, nil
	}
	candidates := []string{
		filepath.Join(dir, "lib"), filepath.Join(dir, "..", "lib"), filepath.Join(dir, "..", "Frameworks"),
	}
	for _, c := range candidates {
		if info, err := os.Stat(c); err == nil && info.IsDir() {
			return workerPath, c, nil
		}
	}
	return "", "", fmt.Errorf("the engine libraries are missing: none of %q exists; `make setup build` makes the first, or set %s", candidates, LibDirEnv)
}
