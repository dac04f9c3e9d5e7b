package calm

import (
	"fmt"
	"os"
	"os/exec"
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
	got, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	fmt.Println(got, err, os.Args[1:])
}

func TestAProcessAndItsChildrenHaveTheSlack(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", `"$0" an argument & wait $!`, self)
	cmd.Env = append(os.Environ(), play+"=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "5000000 <nil> [an argument]\n", string(out))
}
