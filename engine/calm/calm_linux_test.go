package calm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// play makes the test binary a program that calms itself.
const play = "SAMOVAR_TEST_PLAY_CALM"

func TestMain(m *testing.M) {
	if os.Getenv(play) == "" {
		os.Exit(m.Run())
	}
	Process()
	// Only the program that replaced the first comes here.
	runtime.LockOSThread()
	own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	fmt.Println(own, err, os.Args[1:])
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		// Of another thread only who may administer it is told.
		data, err := os.ReadFile(filepath.Join("/proc", t.Name(), "timerslack_ns"))
		if err != nil {
			fmt.Println("unknown")
			continue
		}
		fmt.Println(strings.TrimSpace(string(data)))
	}
}

func TestOnlyTheMonitorHasTheSlack(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "an argument")
	cmd.Env = append(os.Environ(), play+"=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	own, rest, _ := strings.Cut(string(out), "\n")
	require.Equal(t, "50000 <nil> [an argument]", own)
	threads := strings.Fields(rest)
	require.Greater(t, len(threads), 1)
	if !strings.Contains(rest, "unknown") {
		tight := strings.Count(rest, "5000000\n")
		require.Contains(t, []int{1, 2, 3}, tight, "the monitor, and where there is C the thread that makes others, and the race detector's: %s", rest)
		for _, s := range threads {
			require.Contains(t, []string{"50000", "5000000"}, s)
		}
	}
}
