package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/google/renameio/v2"
)

// Options says where an Item is kept, and what it starts.
type Options struct {
	// GOOS is the system, as runtime has it.
	GOOS string
	// Home is the user's home folder, ConfigHome the one of XDG (Linux).
	Home, ConfigHome string
	// UID is the user's, for launchd.
	UID int
	// Program is what is started: an absolute path and its arguments.
	Program []string
	// Run runs a program of the system.
	Run func(ctx context.Context, name string, args ...string) error
}

// translocated is in the path of an app that macOS does not trust yet: a copy, under a name
// of this run only, for as long as the app lies where it was downloaded to.
const translocated = "/AppTranslocation/"

// Item is the entry that has a desktop start Samovar.
type Item struct {
	options Options
	place   place
	why     string
}

// place is how a system is told.
type place interface {
	// path is the file.
	path() string
	// render is what it holds; on says whether such a file has anything started.
	render() ([]byte, error)
	on(raw []byte) (bool, error)
	// written is called after the file was.
	written(ctx context.Context) error
}

// New returns the Item; it touches nothing.
func New(o Options) *Item {
	i := &Item{options: o}
	switch {
	case len(o.Program) == 0 || !filepath.IsAbs(o.Program[0]):
		i.why = "It is not known where Samovar's program is."
	case strings.ContainsFunc(strings.Join(o.Program, ""), unicode.IsControl):
		i.why = "The path of Samovar's program, or of its data folder, has characters that cannot be written down."
	case o.GOOS == "darwin" && strings.Contains(o.Program[0], translocated):
		i.why = "macOS runs Samovar from a place that is not there for long. Move Samovar into Applications and open it there."
	case o.GOOS == "darwin" && o.Home != "":
		i.place = agent{o}
	case o.GOOS == "linux" && o.ConfigHome != "":
		i.place = autostart{o}
	default:
		i.why = "It is not known how programs are started at login here."
	}
	return i
}

// Why says in a sentence why this cannot be had here; it is empty if it can.
func (i *Item) Why() string { return i.why }

// Path is the file that counts, if there is a place for one.
func (i *Item) Path() string {
	if i.place == nil {
		return ""
	}
	return i.place.path()
}

// Enabled says whether Samovar, or another copy of it, is started at login.
func (i *Item) Enabled() (bool, error) {
	if i.place == nil {
		return false, nil
	}
	raw, err := os.ReadFile(i.place.path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("cannot see whether Samovar starts at login: %w", err)
	}
	on, err := i.place.on(raw)
	if err != nil {
		return false, fmt.Errorf("cannot see whether Samovar starts at login: %s: %w", i.place.path(), err)
	}
	return on, nil
}

// Set has Samovar started at login, this copy of it, or not.
func (i *Item) Set(ctx context.Context, enabled bool) error {
	if i.place == nil {
		return errors.New(i.why)
	}
	path := i.place.path()
	if !enabled {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot keep Samovar from starting at login: %w", err)
		}
		return nil
	}
	raw, err := i.place.render()
	if err != nil {
		return err
	}
	// The folder is the desktop's, not ours: it has the usual permissions.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot have Samovar started at login: %w", err)
	}
	if err := renameio.WriteFile(path, raw, 0o644, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("cannot have Samovar started at login: %w", err)
	}
	return i.place.written(ctx)
}
