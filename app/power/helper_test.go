//go:build linux || darwin

package power

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHelpersCommands(t *testing.T) {
	require.Equal(t, "/usr/bin/caffeinate -i -w 4711", strings.Join(caffeinate(4711), " "))
	require.Equal(t, []string{
		"systemd-inhibit", "--what=idle:sleep", "--who=Samovar", "--why=A model is answering",
		"--mode=block", "sleep", "infinity",
	}, inhibit())
}

func TestAHelpersEndHasAReason(t *testing.T) {
	err := runHelper(t.Context(), []string{"sh", "-c", "echo There is no bus. >&2; exit 3"}, nil)
	require.EqualError(t, err, "sh: exit status 3: There is no bus.")
	require.ErrorIs(t, runHelper(t.Context(), []string{"true"}, nil), errEnded)
	err = runHelper(t.Context(), []string{"samovar-has-no-such-helper"}, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "samovar-has-no-such-helper")
}

func TestAHelperLeavesWithItsContext(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	said, err := os.OpenFile(fifo, os.O_RDWR, 0) // for writing, too: so that opening doesn't wait
	require.NoError(t, err)
	defer said.Close()
	require.NoError(t, said.SetReadDeadline(time.Now().Add(time.Minute)))

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runHelper(ctx, []string{"sh", "-c", `echo $$ >"$0"; exec sleep 1000`, fifo}, nil) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	cancel()
	require.Error(t, <-ended)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}
