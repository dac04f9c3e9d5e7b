// Package listen opens the port that Samovar serves on, and when that fails
// finds out which process has it.
//
// The search is our own: the libraries that list sockets on both systems bring
// in the FFI library that may not be linked into the app.
package listen
