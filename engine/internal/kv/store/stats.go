package store

import (
	"fmt"
	"maps"
	"time"

	"samovar/engine/internal/kv/blockfile"
)

// Stats is what a store holds and has done since it was opened.
type Stats struct {
	// Blocks, Tails and Checkpoints are kept, in Bytes of files, of at most Quota.
	Blocks      int   `json:"blocks"`
	Tails       int   `json:"tails"`
	Checkpoints int   `json:"checkpoints"`
	Tokens      int   `json:"tokens"`
	Bytes       int64 `json:"bytes"`
	Quota       int64 `json:"quota"`
	Pinned      int64 `json:"pinned_bytes"`
	// MemoryBytes of verified payloads are in memory, QueueBytes wait to be written.
	MemoryBytes int64 `json:"memory_bytes"`
	QueueBytes  int64 `json:"queue_bytes"`
	// Written counts files and WrittenBytes their bytes; Today is what was written
	// since midnight (UTC), of at most Daily.
	Written      uint64 `json:"written"`
	WrittenBytes uint64 `json:"written_bytes"`
	Today        int64  `json:"written_today_bytes"`
	Daily        int64  `json:"daily_bytes"`
	// Skipped were not taken because the queue was full, Refused because saving was
	// off or the day's budget used up. Evicted made room for others.
	Skipped uint64 `json:"skipped"`
	Refused uint64 `json:"refused"`
	Evicted uint64 `json:"evicted"`
	// Verified blocks were read and found right; FromMemory needed no reading.
	Verified   uint64 `json:"verified"`
	FromMemory uint64 `json:"from_memory"`
	FromDisk   uint64 `json:"from_disk"`
	ReadErrors uint64 `json:"read_errors"`
	// Rejected blocks were wrong, by reason.
	Rejected map[blockfile.Reason]uint64 `json:"rejected,omitempty"`
	// Off says why nothing is saved at the moment; "" if it is.
	Off string `json:"off,omitempty"`
}

// Stats returns a snapshot.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Rejected = maps.Clone(s.stats.Rejected)
	for _, e := range s.entries {
		st.Tokens += len(e.tokens)
		switch e.kind {
		case blockfile.KindBlock:
			st.Blocks++
		case blockfile.KindTail:
			st.Tails++
		case blockfile.KindCheckpoint:
			st.Checkpoints++
			st.Tokens -= len(e.tokens)
		}
		if e.pinned {
			st.Pinned += e.bytes
		}
	}
	now := s.cfg.Now()
	st.Bytes, st.Quota, st.MemoryBytes, st.QueueBytes = s.bytes, s.cfg.Quota, s.memory.bytes, s.queuedB
	st.Today, st.Daily = s.spent(now)-s.queuedB, s.cfg.Daily
	if s.off != "" { // until a write succeeds
		st.Off = s.off
	} else if s.cfg.Daily > 0 && st.Today >= s.cfg.Daily {
		st.Off = fmt.Sprintf("The day's %d bytes of writing are used up.", s.cfg.Daily)
	}
	return st
}

// Held is what Chains says of a chain.
type Held struct {
	Tip blockfile.ID
	// Tokens is its length, Bytes what its files have, shared ones included.
	Tokens int
	Bytes  int64
	Used   time.Time
	Pinned bool
}

// Chain describes the chain that ends with tip; ok is false if tip is not kept.
func (s *Store) Chain(tip blockfile.ID) (h Held, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.chain(tip) {
		h.Tip, h.Tokens, h.Pinned, ok = e.id, e.position+len(e.tokens), e.pinned, true
		h.Bytes += e.bytes
		h.Used = e.used
	}
	return h, ok
}
