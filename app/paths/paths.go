package paths

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

const (
	appName      = "samovar"
	settingsName = "settings.toml"
)

// Paths is where one instance keeps its files.
type Paths struct {
	config, data, cache, state string
}

// In returns the places under one data folder, or the platform's if dataDir is
// empty. It creates nothing.
func In(dataDir string) (Paths, error) {
	if dataDir == "" {
		return Paths{
			config: filepath.Join(xdg.ConfigHome, appName),
			data:   filepath.Join(xdg.DataHome, appName),
			cache:  filepath.Join(xdg.CacheHome, appName),
			state:  filepath.Join(xdg.StateHome, appName),
		}, nil
	}
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return Paths{}, fmt.Errorf("cannot use the data folder %s: %w", dataDir, err)
	}
	return Paths{
		config: abs,
		data:   abs,
		cache:  filepath.Join(abs, "cache"),
		state:  filepath.Join(abs, "state"),
	}, nil
}

// SettingsFile is the settings file, which need not exist.
func (p Paths) SettingsFile() string { return filepath.Join(p.config, settingsName) }

// Models is where model files are kept.
func (p Paths) Models() (string, error) { return private(p.ModelsDir()) }

// ModelsDir is the folder of Models, made or not.
func (p Paths) ModelsDir() string { return filepath.Join(p.data, "models") }

// Shapes is where random-weight models are made: they can be made again.
func (p Paths) Shapes() (string, error) { return private(p.ShapesDir()) }

// ShapesDir is where Shapes is, made or not.
func (p Paths) ShapesDir() string { return filepath.Join(p.cache, "shapes") }

// Kept is where the KV of agents is kept.
func (p Paths) Kept() (string, error) { return private(p.KeptDir()) }

// KeptDir is where Kept is, made or not.
func (p Paths) KeptDir() string { return filepath.Join(p.data, "kv") }

// Worker is the folder that a worker may write to.
func (p Paths) Worker() (string, error) { return private(filepath.Join(p.state, "worker")) }

// InstanceFile is the record of the instance that serves, made or not.
func (p Paths) InstanceFile() string { return filepath.Join(p.state, "instance.json") }

// PageTokenFile is the token that the dashboard's page proves itself with, made or not.
func (p Paths) PageTokenFile() string { return filepath.Join(p.state, "page-token") }

// WelcomedFile is there once a newcomer has been welcomed.
func (p Paths) WelcomedFile() string { return filepath.Join(p.state, "welcomed") }

// Folders are those that everything is written to, made or not: the data folder alone,
// or the platform's.
func (p Paths) Folders() []string {
	folders := []string{p.data}
	for _, dir := range []string{p.state, p.cache} {
		if rel, err := filepath.Rel(p.data, dir); err != nil || !filepath.IsLocal(rel) {
			folders = append(folders, dir)
		}
	}
	return folders
}

// private makes a folder that only its owner can enter.
func private(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the folder %s: %w", dir, err)
	}
	return dir, nil
}
