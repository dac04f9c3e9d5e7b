//go:build !linux && !darwin

package models

import "errors"

// Available is not known on this system.
func Available() (int64, error) {
	return 0, errors.New("the available memory is not known on this system")
}
