//go:build !linux

package calm

// Process does nothing: only Linux needs it and has it.
func Process() {}
