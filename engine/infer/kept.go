package infer

import "time"

// Kept describes the KV that is kept on disk, and what saving and restoring did since
// the worker started. Bytes are those of files, tokens those whose KV is in them.
type Kept struct {
	// On says that KV is kept; Off says why nothing is saved at the moment, or why
	// none is kept at all.
	On  bool   `json:"on"`
	Off string `json:"off,omitempty"`
	// Blocks of 256 tokens, Tails of fewer, and Checkpoints of the states that are not
	// made of tokens.
	Blocks      int   `json:"blocks"`
	Tails       int   `json:"tails"`
	Checkpoints int   `json:"checkpoints"`
	Tokens      int   `json:"tokens"`
	Bytes       int64 `json:"bytes"`
	// Quota bounds Bytes; 0 does not. PinnedBytes never leave.
	Quota       int64 `json:"quota_bytes"`
	PinnedBytes int64 `json:"pinned_bytes"`
	// MemoryBytes of verified payloads are in memory; QueueBytes wait to be written.
	MemoryBytes int64 `json:"memory_bytes"`
	QueueBytes  int64 `json:"queue_bytes"`

	// Written counts files; WrittenToday is of at most DailyBytes, if that is not 0.
	Written      uint64 `json:"written"`
	WrittenBytes uint64 `json:"written_bytes"`
	WrittenToday int64  `json:"written_today_bytes"`
	DailyBytes   int64  `json:"daily_bytes"`
	// Skipped files were not written because too much was waiting or nothing could
	// leave, Refused ones because saving was off or the day's bytes used up. Evicted
	// ones made room for others.
	Skipped uint64 `json:"skipped"`
	Refused uint64 `json:"refused"`
	Evicted uint64 `json:"evicted"`

	// Verified files were read and found right, Rejected ones were wrong, by reason,
	// and are kept aside. FromMemory were at hand already.
	Verified   uint64            `json:"verified"`
	Rejected   map[string]uint64 `json:"rejected,omitempty"`
	FromMemory uint64            `json:"from_memory"`
	FromDisk   uint64            `json:"from_disk"`
	ReadErrors uint64            `json:"read_errors"`

	// SavedTokens and RestoredTokens were copied out of the pool and back, which took
	// the step loop so long.
	SavedTokens    uint64        `json:"saved_tokens"`
	RestoredTokens uint64        `json:"restored_tokens"`
	SaveTime       time.Duration `json:"save_ns"`
	RestoreTime    time.Duration `json:"restore_ns"`
	// Restored states whose logits were Proven to be what they were, that had none to
	// compare with, whose logits turned out to be others each time they are computed
	// (Noisy), and that were wrong. The prompts of the last two were prefilled.
	Proven    uint64 `json:"proven"`
	Unproven  uint64 `json:"unproven"`
	Noisy     uint64 `json:"noisy"`
	Disproved uint64 `json:"disproved"`
	// Opened counts the answers whose first token was drawn from the logits that were kept
	// of their prompts, with nothing computed.
	Opened uint64 `json:"opened"`
}
