// Package arch holds Samovar's architecture as tests: who may import whom,
// what the app's binary may link, how packages are named and documented, how
// long a file may be. Each rule carries its reason, and each is shown to catch
// a violation on a made-up module, so that none of them passes by looking at
// nothing.
//
// The module is read from its sources (tree_test.go), whatever the build tags,
// so that a file for macOS or for the desktop build is held to the rules on
// Linux too. What a binary links is asked of `go list -deps` (linked_test.go).
// There is no other code here, and nothing may import this package.
package arch
