// Package report writes what a bench found: as text for a terminal, and as one
// HTML page with plots that needs nothing from anywhere (no script, font or
// image outside the file), so that it can be kept, sent and opened offline.
//
// A Report is plain data: facts about the run, then sections of verdicts,
// tables and plots. What the numbers mean, and which limits they are held to,
// is the business of whoever fills it in.
package report
