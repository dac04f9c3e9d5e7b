package worker

import (
	"time"

	"samovar/engine/internal/kv/store"
)

// costNote is what the store remembers of the cost of a row of a prompt: a worker that
// finds everything warm would never measure it, and could not say what that saves.
const costNote = "cost/prefill_row"

// recallCost takes up what an earlier life has measured.
func (l *loop) recallCost(s *store.Store) {
	if row, err := time.ParseDuration(string(s.Recall(costNote)[costNote])); err == nil {
		l.meter.Expect(row)
		l.costKept = row
	}
}

// keepCost remembers what was measured, when it has changed by more than a tenth.
func (l *loop) keepCost() {
	row := l.meter.Cost().PrefillRow
	if change := row - l.costKept; row > 0 && max(change, -change) > l.costKept/10 {
		l.costKept = row
		l.keep.store.Remember(costNote, func() []byte { return []byte(row.String()) })
	}
}
