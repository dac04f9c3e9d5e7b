// Package server is Samovar's HTTP API: routes, middleware, and the one map
// from errors to statuses (errors.go).
//
// Handlers are thin: a surface decodes a body into an infer.Request, the
// Engine generates, the surface encodes what comes. The surfaces' wire formats
// live in the packages below; nothing here knows a field of them. The engine
// is known by the Engine interface only, so the server is tested without one.
//
// Every request passes the guard first (guard.go): its Host must be ours,
// against DNS rebinding, and a browser must come from an allowed origin.
// Prompts and answers are never logged.
package server
