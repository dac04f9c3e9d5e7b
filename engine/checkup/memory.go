package checkup

import (
	"os"
	"path/filepath"

	"samovar/engine/models"
	"samovar/engine/models/guide"
)

// Memory is what a model takes, in bytes, and what there is for it.
type Memory struct {
	// Need is with the whole context that was asked for, or that the model was made
	// for, Least with the smallest that it is started with.
	Need, Least, Available int64
	// Context is how many tokens the context of Need has.
	Context int
}

// The worker's way of making a model fit (engine/worker, fit): without a wish for
// another, a context shrinks to leastContext; the pool has poolCells, if they fit.
const (
	unknownContext = 4096
	leastContext   = 2048
	poolCells      = 16384
	batchRows      = 512
)

// ModelMemory says what a model file takes with these settings, those of
// engine.Config. The error of a file that is no model is a *models.BadFileError.
func ModelMemory(path string, contextTokens int, kvType string, kvBytes int64) (Memory, error) {
	f, err := models.Inspect(path)
	if err != nil {
		return Memory{}, err
	}
	m := Memory{Context: contextTokens}
	if m.Context <= 0 {
		m.Context = f.ContextTokens
	}
	if m.Context <= 0 {
		m.Context = unknownContext
	}
	least := m.Context
	if contextTokens <= 0 {
		least = min(m.Context, leastContext)
	}
	cells := max(m.Context, poolCells)
	perToken, err := f.KVBytesPerToken(kvType)
	if err != nil {
		return Memory{}, err
	}
	if kvBytes > 0 && perToken > 0 {
		cells = max(1, int(min(kvBytes/perToken, int64(cells))))
		least = cells
	}
	for _, size := range []struct {
		cells int
		into  *int64
	}{{cells, &m.Need}, {least, &m.Least}} {
		e, err := f.EstimateBytes(size.cells, batchRows, false, kvType)
		if err != nil {
			return Memory{}, err
		}
		*size.into = e.Total()
	}
	m.Available, err = models.Available()
	return m, err
}

// GuideMemory is ModelMemory of the built-in guide, which need not be installed.
func GuideMemory(contextTokens int, kvType string, kvBytes int64) (Memory, error) {
	dir, err := os.MkdirTemp("", "samovar-doctor-")
	if err != nil {
		return Memory{}, err
	}
	defer os.RemoveAll(dir)
	path, err := guide.Install(filepath.Join(dir, "models"))
	if err != nil {
		return Memory{}, err
	}
	return ModelMemory(path, contextTokens, kvType, kvBytes)
}
