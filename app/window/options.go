package window

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
)

// ErrNoWindow says that no window can be shown: this build has none, or this session has
// no display.
var ErrNoWindow = errors.New("no window can be shown")

// Options are what the window's process needs.
type Options struct {
	// Files are the page's.
	Files fs.FS
	// Page is the one to begin at; empty is the one that was shown last.
	Page string
	// Record is the file that says where the API is, and Otherwise where it is thought to
	// be without one. The window's own files are beside it.
	Record, Otherwise string
	// Command starts a Samovar.
	Command []string
	// Parent is told to by the menu bar, and ends when it does; nil for a window of its own.
	Parent io.Reader
	// Browse opens an address in the browser.
	Browse func(address string) error
	// Follow reads a link of our scheme, and returns the page that it means: macOS may hand
	// one to either process of the app.
	Follow func(link string) (page string, err error)
	// Downloads is the folder for files that the page saves.
	Downloads string
	// Version is the build's.
	Version string
	Log     *slog.Logger
}
