package statusnotifier

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// Bus is a session bus that nobody else is on.
type Bus struct {
	// Address is DBUS_SESSION_BUS_ADDRESS.
	Address string
	cmd     *exec.Cmd
}

// StartBus starts a bus that ends with the test, if not before.
func StartBus(t testing.TB) *Bus {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start(), "the Debian package dbus has it")
	b := &Bus{cmd: cmd}
	t.Cleanup(b.Stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	b.Address = strings.TrimSpace(line)
	return b
}

// Stop ends the bus, as a logout does.
func (b *Bus) Stop() {
	if b.cmd.ProcessState == nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	}
}

// connect returns a connection of its own.
func (b *Bus) connect() (*dbus.Conn, error) {
	conn, err := dbus.Dial(b.Address)
	if err != nil {
		return nil, err
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Names lists who is on the bus by a name of their choice.
func (b *Bus) Names(t testing.TB) []string {
	t.Helper()
	conn, err := b.connect()
	require.NoError(t, err)
	defer conn.Close()
	var all, named []string
	require.NoError(t, conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&all))
	for _, name := range all {
		if !strings.HasPrefix(name, ":") {
			named = append(named, name)
		}
	}
	return named
}

func failed(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
