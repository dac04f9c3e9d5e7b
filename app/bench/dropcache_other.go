//go:build !linux

package bench

// CanDropCache says whether DropCache does anything.
const CanDropCache = false

// DropCache does nothing: only Linux lets a process do that.
func DropCache(string) error { return nil }
