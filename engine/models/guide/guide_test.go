package guide

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstallWritesReusesAndRepairs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models")
	path, err := Install(dir)
	require.NoError(t, err)
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, string(have) == string(data), "the file is the embedded model")
	first, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), first.Mode().Perm())

	again, err := Install(dir)
	require.NoError(t, err)
	require.Equal(t, path, again)
	second, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, second), "an identical file is kept")

	for name, damage := range map[string]func(){
		"altered": func() {
			have[len(have)/2] ^= 1
			require.NoError(t, os.WriteFile(path, have, 0o600))
		},
		"cut short":   func() { require.NoError(t, os.Truncate(path, 100)) },
		"removed":     func() { require.NoError(t, os.Remove(path)) },
		"readable":    func() { require.NoError(t, os.Chmod(path, 0o644)) },
		"a dead link": func() { require.NoError(t, os.Remove(path)); require.NoError(t, os.Symlink("nowhere", path)) },
	} {
		damage()
		got, err := Install(dir)
		require.NoError(t, err, name)
		require.Equal(t, path, got)
		require.True(t, whole(path), name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")
}

func TestInstallSaysWhyItCannot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Install(filepath.Join(file, "models"))
	require.ErrorContains(t, err, "the built-in guide model could not be written")
}
