package power

import (
	"context"
	"os"
	"runtime"
	"syscall"
)

// batteryEvery: always, reading a few files costs nothing.
const batteryEvery = 0

// OnBattery says whether the machine runs on battery.
func OnBattery(context.Context) (on, known bool) {
	return sysfsBattery(os.DirFS("/sys/class/power_supply"))
}

// MemoryPressure says how short memory is.
func MemoryPressure() (level Level, known bool) { return pressureIn(os.DirFS("/")) }

// stayAwake holds systemd's lock until the context ends.
func stayAwake(ctx context.Context) error {
	// The helper dies with the thread that started it, so the thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return runHelper(ctx, inhibit(), &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGTERM,
		Setpgid:   true, // a Ctrl-C is for us; the helper leaves when told to
	})
}
