package hub

import (
	"errors"
	"time"
)

// A Kind says what went wrong, for callers that do something about it.
type Kind string

const (
	// BadRef: the reference can't be read.
	BadRef Kind = "bad_ref"
	// NotFound: no such repository, revision or file, or it's private.
	NotFound Kind = "not_found"
	// Gated: the Hub wants a token, a better one, or a licence to be accepted first.
	Gated Kind = "gated"
	// RateLimited: too many requests; RetryAfter says when to return, if known.
	RateLimited Kind = "rate_limited"
	// Unreachable: no answer, or one that says that the Hub itself is in trouble.
	Unreachable Kind = "unreachable"
	// BadAnswer: an answer that makes no sense, as of a hotel's log-in page.
	BadAnswer Kind = "bad_answer"
	// NoGGUF: the repository has no model in the GGUF format.
	NoGGUF Kind = "no_gguf"
	// NoSuchQuant: it has, but not of the kind that was asked for.
	NoSuchQuant Kind = "no_such_quant"
)

// Error is why the Hub, or this package, can't give what was asked for.
type Error struct {
	Kind Kind
	// Message and Hint are whole sentences for the user; Hint says what to do.
	Message string
	Hint    string
	// Status is the HTTP answer's; 0 if there was none.
	Status int
	// RetryAfter is when a retry makes sense; 0 if unknown.
	RetryAfter time.Duration
	// Err is the private cause: for logs, never for users.
	Err error

	noRepo bool // of NotFound: it's the repository that isn't there
}

// Error returns the public message and hint, then the private cause.
func (e *Error) Error() string {
	s := e.Public()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Public returns what a user may read.
func (e *Error) Public() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " " + e.Hint
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the *Error in err's chain, "" if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
