//go:build !linux && !darwin

package models

import "errors"

// Budget is not known, either.
func Budget(int64) (int64, error) { return Available() }

// Memory is not known, either.
func Memory() (int64, error) { return Available() }

// Available is not known on this system.
func Available() (int64, error) {
	return 0, errors.New("the available memory is not known on this system")
}
