package paths_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/paths"
)

func TestEverythingLiesUnderTheDataFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p, err := paths.In(dir)
	require.NoError(t, err)
	require.NoDirExists(t, dir, "naming places makes none")
	require.Equal(t, filepath.Join(dir, "settings.toml"), p.SettingsFile())
	require.Equal(t, filepath.Join(dir, "state", "instance.json"), p.InstanceFile())

	for _, place := range []func() (string, error){p.Models, p.Shapes, p.Worker} {
		made, err := place()
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, made)
		require.NoError(t, err)
		require.True(t, filepath.IsLocal(rel), made)
		info, err := os.Stat(made)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), made)
	}
}

func TestFoldersAreNamedWithoutBeingMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p, err := paths.In(dir)
	require.NoError(t, err)
	require.Equal(t, []string{dir}, p.Folders())
	for _, place := range []string{p.KeptDir(), p.ShapesDir()} {
		require.NoDirExists(t, place)
	}
	made, err := p.Kept()
	require.NoError(t, err)
	require.Equal(t, p.KeptDir(), made)

	p, err = paths.In("")
	require.NoError(t, err)
	require.Len(t, p.Folders(), 3)
}

func TestDefaultPlacesAreDistinctAndAbsolute(t *testing.T) {
	p, err := paths.In("")
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(p.SettingsFile()))
	require.Equal(t, "samovar", filepath.Base(filepath.Dir(p.SettingsFile())))
}

func TestUnusableFolderNamesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	p, err := paths.In(file)
	require.NoError(t, err)
	_, err = p.Models()
	require.ErrorContains(t, err, file)
	_, err = p.Lock()
	require.ErrorContains(t, err, file)
}

func TestSecondInstanceLearnsWhoHoldsTheFolder(t *testing.T) {
	p, err := paths.In(t.TempDir())
	require.NoError(t, err)
	require.True(t, p.Free(), "nobody has ever had it")
	first, err := p.Lock()
	require.NoError(t, err)
	require.False(t, p.Free())

	_, err = p.Lock()
	var held *paths.HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, os.Getpid(), held.PID)
	require.ErrorContains(t, err, "--data-dir")

	require.NoError(t, first.Close())
	require.True(t, p.Free())
	again, err := p.Lock()
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
