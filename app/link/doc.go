// Package link reads links of our own scheme: samovar://pull/owner/repo[:quant],
// samovar://open/PAGE and samovar://open/agents/ID.
//
// Any web page can have the system open one, so a link is untrusted input and never does
// anything by itself: all that it can become is a page of the dashboard, which asks before
// something is downloaded.
package link
