package store

import (
	"samovar/engine/internal/kv/blockfile"
)

// Accepts says whether Put would take a block of the usual size now, so that the
// caller need not make one in vain.
func (s *Store) Accepts() bool {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return false
	case now.Before(s.offTill), s.cfg.Daily > 0 && s.spent(now) >= s.cfg.Daily:
		s.stats.Refused++
		return false
	case s.queuedB >= s.cfg.Queue:
		s.stats.Skipped++
		return false
	}
	return true
}

// Tested says whether SetTested was called on this store, now or before it was opened.
func (s *Store) Tested() bool { return s.tested.Load() || s.index != nil && s.index.tested() }

// SetTested remembers, as long as the store's index is there, that states were found to
// come back as they were. It waits for the disk.
func (s *Store) SetTested() {
	s.tested.Store(true)
	if s.index == nil {
		return
	}
	if err := s.index.setTested(); err != nil {
		s.cfg.Log.Warn("the index of kept KV cannot be written", "err", err)
	}
}

// Remember keeps a note beside the index, some time later: value is called then, by
// the writer. A value that is nil, or returns nil, forgets the note. Notes are lost with
// the index, and the last seconds of them in a crash.
func (s *Store) Remember(key string, value func() []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[key] = value
}

// Recall returns the notes whose keys begin with prefix, as they were when the store was
// opened or last written.
func (s *Store) Recall(prefix string) map[string][]byte {
	if s.index == nil {
		return nil
	}
	return s.index.notes(prefix)
}

// FileBytes returns the size of a block's file, 0 if it is not kept.
func (s *Store) FileBytes(id blockfile.ID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		return e.bytes
	}
	return 0
}
