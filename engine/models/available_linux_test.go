package models

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAvailableIsLimitedByTheControlGroups(t *testing.T) {
	root := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	_, err := available(root)
	require.Error(t, err)

	write("proc/meminfo", "MemTotal:  4000 kB\nMemAvailable:    3000 kB\n")
	n, err := available(root)
	require.NoError(t, err)
	require.Equal(t, int64(3000<<10), n)

	write("proc/self/cgroup", "0::/outer/inner\n")
	write("sys/fs/cgroup/outer/inner/memory.max", "max\n")
	write("sys/fs/cgroup/outer/inner/memory.current", "1\n")
	write("sys/fs/cgroup/outer/memory.max", "2000000\n")
	write("sys/fs/cgroup/outer/memory.current", "1500000\n")
	write("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file 200000\n")
	n, err = available(root)
	require.NoError(t, err)
	require.Equal(t, int64(700000), n)
	n, err = memory(root)
	require.NoError(t, err)
	require.Equal(t, int64(2000000), n, "the group's limit is less than the machine has")

	write("proc/meminfo", "MemAvailable: many kB\n")
	_, err = available(root)
	require.ErrorContains(t, err, "has no number")
}
