// Package pull downloads models: from a name that somebody writes to a verified file that
// the registry knows. One download runs for a model, however many ask for it.
//
// It joins the catalogue, the Hub's client, the downloader, the cache that other programs
// share, and the registry; each of them knows nothing of the others.
package pull
