package window

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
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
	// It is closed when the window is about to be, so that who orders something then
	// notices. Orders is one.
	Parent io.ReadCloser
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

// Orders is the standard input of a window that a menu bar keeps, to be read and closed at
// the same time: a file that blocks would stay open for as long as it is read.
func Orders() (io.ReadCloser, error) {
	if err := syscall.SetNonblock(syscall.Stdin, true); err != nil {
		return nil, fmt.Errorf("cannot hear the menu bar: %w", err)
	}
	return os.NewFile(uintptr(syscall.Stdin), "the menu bar"), nil
}
