package listen

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTakenPortNamesItsOwner(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		first, err := TCP(t.Context(), addr)
		if err != nil {
			t.Logf("%s is not to be had here: %v", addr, err)
			continue
		}
		_, err = TCP(t.Context(), first.Addr().String())
		var failed *Error
		require.ErrorAs(t, err, &failed)
		require.NotNil(t, failed.Owner)
		require.Equal(t, os.Getpid(), failed.Owner.PID)
		require.NotEmpty(t, failed.Owner.Name)
		require.ErrorContains(t, err, failed.Owner.Name)
		require.ErrorContains(t, err, "--addr")
		require.NoError(t, first.Close())
	}
}

func TestOtherFailuresSayWhy(t *testing.T) {
	_, err := TCP(t.Context(), "192.0.2.1:1") // an address that no machine has
	var failed *Error
	require.ErrorAs(t, err, &failed)
	require.Nil(t, failed.Owner)
	require.ErrorContains(t, err, "192.0.2.1:1")
	require.Equal(t, 1, strings.Count(err.Error(), "192.0.2.1"))
	var op *net.OpError
	require.NotErrorAs(t, err, &op)
}

func TestOwnerInASentence(t *testing.T) {
	require.Equal(t, "nginx (pid 7)", Owner{PID: 7, Name: "nginx"}.String())
	require.Equal(t, "the process with pid 7", Owner{PID: 7}.String())
	require.Equal(t, "a process of user root", Owner{User: "root"}.String())
	require.Equal(t, "another process", Owner{}.String())
}

func TestParseLsof(t *testing.T) {
	require.Equal(t, Owner{PID: 612, Name: "ControlCe"}, parseLsof("p612\ncControlCe\nf9\nf10\n"))
	require.Equal(t, Owner{PID: 1, Name: "a"}, parseLsof("p1\nca\nf3\np2\ncb\nf3\n"))
	require.Equal(t, Owner{}, parseLsof(""))
	require.Equal(t, Owner{}, parseLsof("\npx\n"))
}

func TestLsofIsAskedForListenersOnly(t *testing.T) {
	require.Equal(t, []string{"-nP", "-iTCP:7266", "-sTCP:LISTEN", "-Fpc"}, lsofArgs(7266))
}
