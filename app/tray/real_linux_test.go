//go:build tray || desktop

package tray

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fyne.io/systray"
	"github.com/godbus/dbus/v5"
	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func init() {
	// Items, and who waits for their clicks, stay as long as the process.
	lasting = append(lasting, goleak.IgnoreAnyFunction("samovar/app/tray.native.add.func1"))
}

// The same ten thousand updates as those of the fake bar, on the real one with a bus. Nor
// does the process grow.
func TestTenThousandRealUpdates(t *testing.T) {
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	out, err := bus.StdoutPipe()
	require.NoError(t, err)
	if err := bus.Start(); err != nil {
		t.Skip("there is no dbus-daemon; `make test-desktop` installs it")
	}
	defer func() {
		_ = bus.Process.Kill()
		_ = bus.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))

	memory := func() int {
		proc, err := procfs.Self()
		require.NoError(t, err)
		stat, err := proc.Stat()
		require.NoError(t, err)
		return stat.ResidentMemory()
	}
	ready, done := make(chan struct{}), make(chan growth, 1)
	go func() {
		<-ready
		m := newMenu(native{}, newFakeSource(Snapshot{}), &fakeActions{})
		m.show(time.Now())
		before := memory()
		grown := updateOften(m, func() {})
		t.Logf("the process was %d KiB, and is %d", before>>10, memory()>>10)
		if after := memory(); float64(after) > 1.5*float64(before) {
			t.Errorf("the process has grown from %d to %d bytes", before, after)
		}
		done <- grown
		// The desktop goes, which is seen by and by only; until then the menu is kept up to date.
		shared, err := dbus.SessionBus()
		if err != nil {
			t.Error(err)
		}
		_ = bus.Process.Kill()
		<-shared.Context().Done()
		for _, icon := range []Icon{IconBusy, IconStopped} {
			native{}.setIcon(icon)
			native{}.setTitle("gone")
			native{}.setTooltip("gone")
		}
		systray.Quit()
	}()
	systray.Run(func() { close(ready) }, func() {})
	grown := <-done
	require.LessOrEqual(t, grown.goroutines, 10, "those of the bus, which systray connects to by and by")
	require.Less(t, grown.heap, int64(500_000), "it grows")
}
