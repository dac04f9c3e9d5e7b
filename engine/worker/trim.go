package worker

import (
	"runtime/debug"

	"samovar/engine/internal/kv"
	"samovar/engine/internal/wire"
)

// trim lets go of memory that the machine needs for others, or takes it again. Nothing is
// lost by it: what leaves is on disk.
func (l *loop) trim(t wire.Trim) {
	if t.Idle {
		var idle []int
		l.pool.Sequences(func(seq int, s *kv.Sequence) {
			if !s.Active {
				idle = append(idle, seq)
			}
		})
		l.evict(idle)
	}
	if l.keep.store == nil {
		return
	}
	l.keep.store.Shrink(t.Caches)
	if t.Caches {
		for l.keep.buffers.take() != nil { // they are made again when they are needed
		}
		go debug.FreeOSMemory()
	}
}
