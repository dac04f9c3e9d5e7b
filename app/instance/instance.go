package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Record is what a serving Samovar says of itself.
type Record struct {
	PID int `json:"pid"`
	// Addr is the host and port that it listens on.
	Addr string `json:"addr"`
	// Token is what the dashboard's page proves itself with.
	Token string `json:"token"`
	// Tray says that it has a menu bar, and so can open windows.
	Tray bool `json:"tray"`
	// Version is the build's.
	Version string `json:"version"`
}

// Base is where its API is.
func (r Record) Base() string { return "http://" + r.Addr }

// Write makes the record, in place of one that is there.
func Write(path string, r Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot record that Samovar runs: %w", err)
	}
	// Beside it, so that the rename cannot cross file systems.
	if err := renameio.WriteFile(path, raw, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("cannot record that Samovar runs: %w", err)
	}
	return nil
}

// Read returns the record; its error is fs.ErrNotExist if there is none.
func Read(path string) (Record, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("the record %s is damaged: %w", path, err)
	}
	if host, port, err := net.SplitHostPort(r.Addr); err != nil || host == "" || port == "" || r.PID <= 0 {
		return Record{}, fmt.Errorf("the record %s is damaged: no process at %q", path, r.Addr)
	}
	return r, nil
}

// Remove deletes the record, if there is one.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
