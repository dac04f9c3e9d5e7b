// Package jsonreq reads the JSON body of a request into fields, with errors
// that name the field, what it must be and what it is.
//
// It knows nothing of any API surface. The surfaces ask for the fields that
// they know; what they do not ask for is ignored. The first failure is kept
// and the reads after it return zero values, so that a decoder reads straight
// through and asks for Err once at the end.
//
// Bodies are untrusted: before anything is built from one, its encoding, its
// nesting and its number of values are checked against limits.
package jsonreq
