// Package instance is the record of the Samovar that serves from a data folder: where it
// listens, and what its windows and a second start need to speak to it. It keeps the token
// of the dashboard's page, too.
//
// Both are files of their owner's only. The record outlives a process that is killed, so it
// is a hint: whoever reads one asks /health/live of its address before believing it.
package instance
