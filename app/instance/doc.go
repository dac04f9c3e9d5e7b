// Package instance is the record of the Samovar that serves from a data folder: where it
// listens, and what its windows and a second start need to speak to it.
//
// It keeps the token, too. The record is a file of its owner's only, since it holds the page's token. It outlives a
// process that is killed, so it is a hint: whoever reads one asks /health/live of its
// address before believing it.
package instance
