//go:build tray || desktop

package tray

import "strings"

// label is a title as D-Bus menus want it: a single underscore would make the next letter
// an access key, and vanish. Models' names are full of them.
func label(title string) string { return strings.ReplaceAll(title, "_", "__") }
