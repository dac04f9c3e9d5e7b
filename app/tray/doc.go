// Package tray is the menu in the menu bar: what it says is a pure function of a
// Snapshot (Items, Look), and a small loop keeps the real menu like that, changing what
// has changed and nothing else.
//
// It holds no truth of its own and knows neither server nor engine: it asks a Source
// what there is, once a second at most, and hands clicks to Actions as they come. Only
// the files with the build tag tray (or desktop) know systray, which is pure Go on
// Linux and Cocoa on macOS.
//
// Rules that systray imposes, and that this package keeps so that nobody else has to:
// items can be added at the end only, so the menu has a fixed set of them, of which some
// are hidden; a click is lost unless somebody receives it, so each item has its
// goroutine; its calls may wait for the main thread, so they are made by one goroutine
// that holds no lock; text must be valid UTF-8, and icons must not be empty.
package tray
