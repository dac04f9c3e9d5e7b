package power

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeInhibit says what it was told on the pipe that the test holds, and then runs the
// command that follows its options, as the real one does, which needs a system bus.
const fakeInhibit = `#!/bin/sh
echo "$@" >&3
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
`

// busy starts a server that keeps the machine awake with the fake helper. The pipe ends
// when neither the server nor the helper is left.
func busy(t *testing.T) (server *exec.Cmd, stdin io.Closer, pipe *bufio.Reader) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "systemd-inhibit"), []byte(fakeInhibit), 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	require.NoError(t, r.SetReadDeadline(time.Now().Add(time.Minute)))

	server = exec.Command(self)
	server.Env = append(os.Environ(), play+"=1", "PATH="+dir+":"+os.Getenv("PATH"))
	server.ExtraFiles = []*os.File{w} // 3 in the server, and in the helper, too
	server.Stderr = os.Stderr
	stdin, err = server.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	require.NoError(t, w.Close())
	pipe = bufio.NewReader(r)
	line, err := pipe.ReadString('\n')
	if err != nil {
		_ = server.Process.Kill()
	}
	require.NoError(t, err)
	require.Equal(t, "--what=idle:sleep --who=Samovar --why=A model is answering --mode=block sleep infinity\n", line)
	return server, stdin, pipe
}

func TestTheHelperDiesWithUs(t *testing.T) {
	server, _, pipe := busy(t)
	require.NoError(t, server.Process.Kill())
	require.Error(t, server.Wait())
	rest, err := io.ReadAll(pipe)
	require.NoError(t, err, "the helper is still there")
	require.Empty(t, rest)
}

func TestTheHelperIsGoneAfterClose(t *testing.T) {
	server, stdin, pipe := busy(t)
	require.NoError(t, stdin.Close())
	require.NoError(t, server.Wait())
	rest, err := io.ReadAll(pipe)
	require.NoError(t, err, "the helper is still there")
	require.Empty(t, rest, "and wasn't started again")
}
