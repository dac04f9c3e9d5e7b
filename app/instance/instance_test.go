package instance_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/instance"
)

func TestRecordComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "instance.json")
	_, err := instance.Read(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, instance.Remove(path), "there is none")

	for _, r := range []instance.Record{
		{PID: 7, Addr: "127.0.0.1:7266", Token: "secret", Tray: true, Version: "1"},
		{PID: 8, Addr: "[::1]:1", Token: "other", Version: "2"},
	} {
		require.NoError(t, instance.Write(path, r))
		got, err := instance.Read(path)
		require.NoError(t, err)
		require.Equal(t, r, got)
		require.Equal(t, "http://"+r.Addr, got.Base())
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds a token")
	beside, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, beside, 1, "nothing temporary is left")

	require.NoError(t, instance.Remove(path))
	require.NoFileExists(t, path)
}

func TestTokenIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "page-token")
	token, err := instance.Token(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(token), 26)
	again, err := instance.Token(path)
	require.NoError(t, err)
	require.Equal(t, token, again)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for _, damaged := range []string{"", token[:5], token + "\n<script>"} {
		require.NoError(t, os.WriteFile(path, []byte(damaged), 0o600))
		fresh, err := instance.Token(path)
		require.NoError(t, err)
		require.NotEqual(t, token, fresh)
		require.Len(t, fresh, len(token))
	}
	_, err = instance.Token(filepath.Join(path, "below-a-file"))
	require.Error(t, err)
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instance.json")
	for _, raw := range []string{"", "{", "[]", "{}", `{"pid":1,"addr":"nowhere"}`, `{"pid":0,"addr":"127.0.0.1:1"}`, `{"pid":1,"addr":":1"}`} {
		require.NoError(t, os.WriteFile(path, []byte(raw), 0o600))
		_, err := instance.Read(path)
		require.ErrorContains(t, err, path, raw)
		require.NotErrorIs(t, err, fs.ErrNotExist)
	}
}
