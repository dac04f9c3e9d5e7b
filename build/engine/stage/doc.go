// Command stage lays the llama.cpp libraries that npm fetched into
// build/engine/node_modules out under the names that the binding's loader
// opens, together with a manifest that the worker can check before it loads
// anything.
//
//	go run ./build/engine/stage                        every platform, into build/engine/staged/<platform>/
//	go run ./build/engine/stage linux-x64              one platform
//	go run ./build/engine/stage -into bin/lib host     this machine's libraries, next to the binaries
//
// # What is pinned, and where
//
// build/engine/package.json is the one place: the version of each npm package
// under "dependencies", and under "engine" the llama.cpp release that those
// packages must contain and the version of the binding (yzma) that goes with
// it. To bump: edit package.json and run `npm install --force --ignore-scripts
// --package-lock-only` in build/engine, `go get github.com/hybridgroup/yzma@…`
// and `make setup test`. The staging program refuses packages that don't hold
// the pinned release, and its tests refuse a binding that differs from go.mod
// or that looks up a symbol which the libraries don't export.
//
// # Layout of a staged folder
//
//	libggml-base.so, libggml-cpu-*.so, …   as in the package
//	libggml.v0.4.0.so                      as in the package: its soname, which libllama asks for
//	libggml.so → libggml.v0.4.0.so         what the loader opens
//	libllama.v0.4.0.so, libllama.so → …    likewise
//	LICENSE.node-llama-cpp                 the packages' licence (MIT)
//	manifest.json                          see Manifest
//
// On macOS the two are dylibs, with ".metal" in the versioned name where the
// package has Metal; the backends keep ".so" there too. The short names are
// symbolic links and never copies: a copy would be loaded as a second image
// with its own global state. Nothing else of the package is staged:
// libllama-common and llama-addon.node serve Node only.
//
// A folder is built under a temporary name and renamed into place, and one that
// already is what it should be is left alone, so a worker that has these files
// mapped never sees them change. Standard library only: this runs before
// anything else is there.
package main
