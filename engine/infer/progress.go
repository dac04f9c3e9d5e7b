package infer

import "time"

// Phase is what a request that has not ended is at.
type Phase string

// The phases.
const (
	// PhaseWaiting: nothing is done for it; see Wait.
	PhaseWaiting Phase = "waiting"
	// PhaseRestoring: what is kept of its prompt is read back into the pool.
	PhaseRestoring Phase = "restoring"
	// PhasePrefill: its prompt is being computed.
	PhasePrefill Phase = "prefill"
	// PhaseDecode: its answer is being written.
	PhaseDecode Phase = "decode"
)

// WaitReason says why a request waits.
type WaitReason string

// The reasons.
const (
	// WaitLoading: its model is being loaded.
	WaitLoading WaitReason = "loading"
	// WaitRoom: its model waits until other models have made room in memory.
	WaitRoom WaitReason = "room"
	// WaitRestart: the worker is being replaced.
	WaitRestart WaitReason = "restart"
	// WaitSequences: all sequences are taken.
	WaitSequences WaitReason = "sequences"
	// WaitCells: too few cells of the KV pool are free.
	WaitCells WaitReason = "cells"
	// WaitFollows: another request computes the same beginning, for both.
	WaitFollows WaitReason = "follows"
	// WaitPaused: it had begun, and made room for an older one.
	WaitPaused WaitReason = "paused"
	// WaitQueue: its turn has not come for another reason.
	WaitQueue WaitReason = "queue"
)

// Wait says why a request waits.
type Wait struct {
	Reason WaitReason `json:"reason"`
	// Text says so in a sentence, for people.
	Text string `json:"text"`
	// Ahead is how many requests come before it; nil if unknown.
	Ahead *int `json:"ahead,omitempty"`
	// EstimateMS is how long it will wait still, in milliseconds; 0 if unknown.
	EstimateMS float64 `json:"estimate_ms,omitempty"`
}

// Progress is how far a request is that has not ended. Counts are 0 until they are known.
type Progress struct {
	// ID is the request's.
	ID string
	// Agent is whose it is, as far as known.
	Agent string
	Phase Phase
	// Since is when the phase began.
	Since time.Time
	// Wait is set in PhaseWaiting only.
	Wait *Wait
	// PromptTokens is the length of its prompt: of these, CachedTokens were reused so far
	// and PrefilledTokens computed. CompletionTokens are those of its answer so far.
	PromptTokens, CachedTokens, PrefilledTokens, CompletionTokens int
}
