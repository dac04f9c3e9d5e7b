package proc

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shell(t *testing.T, script string) *Process {
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"ONLY=this"}, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(time.Second) })
	return p
}

func TestFramesComeOnDescriptorThreeAndOutputIsKept(t *testing.T) {
	p := shell(t, `read line; echo "got $line with $ONLY$HOME" >&3; echo chatter; echo complaint >&2`)
	_, err := io.WriteString(p.In, "hello\n")
	require.NoError(t, err)
	out, err := io.ReadAll(p.Out)
	require.NoError(t, err)
	require.Equal(t, "got hello with this\n", string(out), "and no more environment than given")
	<-p.Done()
	require.NoError(t, p.Err())
	require.Contains(t, p.Tail(), "chatter")
	require.Contains(t, p.Tail(), "complaint")
}

func TestHowItEndedIsKnown(t *testing.T) {
	p := shell(t, "exit 7")
	<-p.Done()
	require.ErrorContains(t, p.Err(), "exit status 7")
	p = shell(t, "kill -SEGV $$")
	<-p.Done()
	require.ErrorContains(t, p.Err(), "segmentation fault")
}

func TestStopAsksFirst(t *testing.T) {
	p := shell(t, "cat >/dev/null; echo left >&2")
	p.Stop(20 * time.Second)
	require.NoError(t, p.Err())
	require.Contains(t, p.Tail(), "left")
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	p := shell(t, `trap "" TERM INT HUP; echo up >&3; while :; do sleep 0.05; done`)
	_, err := p.Out.Read(make([]byte, 8))
	require.NoError(t, err)
	p.Stop(10 * time.Millisecond)
	require.ErrorContains(t, p.Err(), "killed")
}

func TestAStartThatFailsLeavesNothingOpen(t *testing.T) {
	open := func() int {
		fds, err := os.ReadDir("/dev/fd")
		require.NoError(t, err)
		return len(fds)
	}
	_, _ = Start(Spec{Path: "/does/not/exist"}) // whatever the runtime opens once
	before := open()
	for range 20 {
		_, err := Start(Spec{Path: "/does/not/exist"})
		require.ErrorContains(t, err, "/does/not/exist")
	}
	require.Equal(t, before, open())
}

func TestOnlyTheEndOfTheOutputIsKept(t *testing.T) {
	tail := newTail(10)
	for range 100 {
		n, err := tail.Write([]byte("abcdefg"))
		require.NoError(t, err)
		require.Equal(t, 7, n)
	}
	require.Equal(t, "efgabcdefg", tail.String())
	_, _ = tail.Write([]byte(strings.Repeat("x", 99)))
	require.Equal(t, strings.Repeat("x", 10), tail.String())
}
