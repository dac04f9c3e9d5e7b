package llama

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThreadsFollowPhysicalCores(t *testing.T) {
	dir := t.TempDir()
	for cpu, siblings := range []string{"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"} {
		folder := filepath.Join(dir, fmt.Sprintf("cpu%d", cpu), "topology")
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "thread_siblings_list"), []byte(siblings+"\n"), 0o600))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "cpufreq"), 0o700))
	require.Equal(t, 4, physicalCores(dir))
	require.Equal(t, runtime.NumCPU(), physicalCores(t.TempDir()), "unknown")
	require.LessOrEqual(t, defaultThreads(), runtime.NumCPU())
}
