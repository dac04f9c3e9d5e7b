// Package paths is every location that Samovar writes to or reads its own
// files from, and the lock that keeps two instances out of one data folder.
//
// With a data folder everything lies under it; without one the platform's own
// places are used (XDG folders on Linux, ~/Library on macOS). Folders are made
// on demand, private to the user. No other package builds such a path.
package paths
