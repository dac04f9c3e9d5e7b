package tray

import (
	"errors"

	"samovar/engine/infer"
)

// Advice is an error with something to do about it. Text and Hint are shown as they are.
type Advice struct{ Problem }

// Error says both.
func (a *Advice) Error() string { return a.Text + " " + a.Hint }

// saidOf says what came of an order that failed.
func saidOf(err error) Problem {
	var advice *Advice
	var known *infer.Error
	switch {
	case errors.As(err, &advice):
		return advice.Problem
	case errors.As(err, &known):
		return Problem{known.Message, known.Hint}
	}
	return Problem{Text: err.Error()}
}
