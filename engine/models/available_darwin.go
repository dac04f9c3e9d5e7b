package models

import "golang.org/x/sys/unix"

// Available is the memory that a model may take: three quarters of what the
// machine has, which is also what Metal recommends for its working set. macOS
// keeps little memory free on purpose, so what is free now says nothing.
func Available() (int64, error) {
	total, err := Memory()
	return total / 4 * 3, err
}

// Budget is the memory that models may take together, those included that take so much
// already.
func Budget(taken int64) (int64, error) { return Available() }

// Memory is what the machine has.
func Memory() (int64, error) {
	total, err := unix.SysctlUint64("hw.memsize")
	return int64(total), err
}
