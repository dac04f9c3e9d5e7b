package models

import "golang.org/x/sys/unix"

// Available is the memory that a model may take: three quarters of what the
// machine has, which is also what Metal recommends for its working set. macOS
// keeps little memory free on purpose, so what is free now says nothing.
func Available() (int64, error) {
	total, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0, err
	}
	return int64(total / 4 * 3), nil
}
