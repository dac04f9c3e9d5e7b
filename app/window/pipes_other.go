//go:build !linux

package window

// keepPipes has nothing to do: the page's requests have no pipes here.
func keepPipes() {}
