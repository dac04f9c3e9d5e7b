// Package browser opens addresses in the user's browser, and files in their editor, by
// whatever the system has for that.
//
// What it opens may have come from a page or from another program, so it opens http and
// https addresses only, and files by their whole path; neither ever reaches a shell.
package browser
