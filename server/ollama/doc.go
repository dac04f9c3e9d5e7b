// Package ollama is the wire format of Ollama's API, as far as models are concerned: what
// its clients get of those that are here, and the lines of a download's progress.
//
// Source: https://github.com/ollama/ollama/blob/main/docs/api.md. Only formats live here;
// the package server has the routes.
package ollama
