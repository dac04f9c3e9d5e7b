// Package window is Samovar's window: a process of its own that shows the dashboard's
// page, and whatever the menu bar needs to keep one. It holds no truth: it is a client of
// the API like any browser, and closing it ends the process and frees WebKit.
//
// The process, `samovar window`, is built with the tag desktop. What needs no window is
// built always and tested without one: Child, with which the menu bar keeps the process;
// the state file; the single instance; the page's files and the small endpoints that the
// page has besides the API (Server). The glue to Wails decides nothing.
//
// A child is told which page to show by lines of JSON on its standard input, and ends
// when that does: the menu bar holds the other end, so no window outlives it.
package window
