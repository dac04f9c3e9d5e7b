package window

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// The size of a window that nobody has sized yet, and the least that the page is made for.
const (
	defaultWidth, defaultHeight = 1180, 800
	minWidth, minHeight         = 720, 480
)

// State is what a window remembers of the last one: the file state/window.json.
type State struct {
	// X and Y are where it was, from the upper left corner of its screen; they count
	// only if Placed.
	X      int  `json:"x"`
	Y      int  `json:"y"`
	Placed bool `json:"placed"`
	// Width and Height are those that it had, or would have if it weren't Maximised.
	Width     int  `json:"width"`
	Height    int  `json:"height"`
	Maximised bool `json:"maximised"`
	// Page is what it showed.
	Page string `json:"page"`
}

// ReadState returns what was remembered. Where there is nothing, or nothing that makes
// sense, it returns a fresh window's state: the file is a convenience and no reason to fail.
func ReadState(path string) (State, error) {
	fresh := State{Width: defaultWidth, Height: defaultHeight, Page: "/" + Pages[0].ID}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	} else if err != nil {
		return fresh, fmt.Errorf("cannot read where the window was: %w", err)
	}
	was := State{}
	if err := json.Unmarshal(raw, &was); err != nil {
		return fresh, fmt.Errorf("cannot read where the window was: %s: %w", path, err)
	}
	if was.Width <= 0 || was.Height <= 0 {
		was.Width, was.Height = fresh.Width, fresh.Height
	}
	if !ValidPage(was.Page) || was.Page == "/"+welcome {
		was.Page = fresh.Page
	}
	return was, nil
}

// Write remembers it.
func (s State) Write(path string) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot remember where the window was: %w", err)
	}
	if err := renameio.WriteFile(path, raw, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("cannot remember where the window was: %w", err)
	}
	return nil
}

// Fit makes it a window that is wholly on a screen of this size, and not smaller than the
// page can bear, unless the screen is.
func (s State) Fit(screenWidth, screenHeight int) State {
	if screenWidth <= 0 || screenHeight <= 0 { // unknown
		s.Placed = false
		return s
	}
	s.Width = min(max(s.Width, minWidth), screenWidth)
	s.Height = min(max(s.Height, minHeight), screenHeight)
	s.X = min(max(s.X, 0), screenWidth-s.Width)
	s.Y = min(max(s.Y, 0), screenHeight-s.Height)
	return s
}
