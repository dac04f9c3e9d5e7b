// Package models knows model files: what a GGUF is and whether the engine can
// take it, and how much memory it will need. Everything here is decided from the
// file's header, before the native loader sees it: that loader stops the whole
// process on some bad headers and silently accepts others (ENGINE.md §9, §10).
//
// The folders below hold the container format (gguf), the built-in guide model
// (guide), random-weight models for measuring (shape) and bad files for tests
// (modelstest). Nothing here loads a model or links the native library.
package models
