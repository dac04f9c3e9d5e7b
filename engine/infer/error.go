package infer

import (
	"errors"
	"time"
)

// Code classifies an Error. The server maps codes to HTTP statuses in one
// place; nothing matches on an error's text.
type Code string

const (
	// CodeInvalid: the request is at fault and will never work as it is.
	CodeInvalid Code = "invalid_request"
	// CodeContextLength: prompt (and answer) can never fit the context.
	CodeContextLength Code = "context_length_exceeded"
	// CodeModelNotFound: the named model is not served here.
	CodeModelNotFound Code = "model_not_found"
	// CodeNotFound: what the request is about is not there; CodeConflict: it is, and
	// must not be, or it is in use.
	CodeNotFound Code = "not_found"
	CodeConflict Code = "conflict"
	// CodeOverloaded: too much is waiting already; RetryAfter says when to return.
	CodeOverloaded Code = "overloaded"
	// CodeDeadline: the client's deadline passed before the answer began.
	CodeDeadline Code = "deadline_exceeded"
	// CodeStarting: the engine is loading; RetryAfter says when to return.
	CodeStarting Code = "starting"
	// CodeStopped: the engine was stopped and waits for a start.
	CodeStopped Code = "stopped"
	// CodeFailed: the engine could not start, or died too often.
	CodeFailed Code = "failed"
	// CodeWorkerLost: the worker died while the request ran.
	CodeWorkerLost Code = "worker_lost"
	// CodeEmpty: the model ended its turn before it said anything, also when its prompt
	// was computed anew; the same request may do better, other words are likely to.
	CodeEmpty Code = "empty_answer"
	// CodePoison: the engine died of the request, more than once.
	CodePoison Code = "poison"
	// CodeInternal: a fault of ours.
	CodeInternal Code = "internal"
)

// ShedReason says which limit shed a request.
type ShedReason string

const (
	// ShedQueueFull: as many requests as may wait are waiting.
	ShedQueueFull ShedReason = "queue_full"
	// ShedWait: the estimated wait is longer than allowed.
	ShedWait ShedReason = "wait"
	// ShedMemory: the machine is short of memory.
	ShedMemory ShedReason = "memory"
	// ShedDeadline: the estimated wait is longer than the client's patience.
	ShedDeadline ShedReason = "deadline"
)

// ShedReasons are all there are.
var ShedReasons = []ShedReason{ShedQueueFull, ShedWait, ShedDeadline, ShedMemory}

// Error is what the engine answers when it cannot do what was asked.
type Error struct {
	Code Code `json:"code"`
	// Message is a whole sentence for the person who reads the client's output.
	Message string `json:"message"`
	// Hint says what to do; may be empty.
	Hint string `json:"hint,omitempty"`
	// Param names the field of the request at fault, if one is.
	Param string `json:"param,omitempty"`
	// RetryAfter is when a retry makes sense; 0 if unknown.
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	// Shed says which limit was reached, for CodeOverloaded.
	Shed ShedReason `json:"shed,omitempty"`
	// PromptTokens and LimitTokens are the numbers behind CodeContextLength.
	PromptTokens int `json:"prompt_tokens,omitempty"`
	LimitTokens  int `json:"limit_tokens,omitempty"`
	// Err is the private cause: for logs, never for clients.
	Err error `json:"-"`
}

// Error returns the public message and hint, then the private cause.
func (e *Error) Error() string {
	s := e.Public()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Public returns what a client may read.
func (e *Error) Public() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " " + e.Hint
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the *Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
