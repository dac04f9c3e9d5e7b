// Package darwin holds what can be known about Samovar on macOS without a Mac:
// that our files for it compile in every build that ships, cgo files included,
// that everything of ours calls itself by the bundle's id, and that the workflow
// which runs on real Macs asks for nothing that isn't there. Nothing may import
// it.
//
// How the app is put together, and that its libraries find each other, is tested
// where that is done: build/bundle.
//
// What is left to a Mac: linking, Objective-C and the names that cgo files take
// from C, signing, and how the menu bar and the window behave. That is
// .github/workflows/macos.yml.
package darwin
