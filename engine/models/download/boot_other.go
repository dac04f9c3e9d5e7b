//go:build !linux && !darwin

package download

func bootID() string { return "" }
