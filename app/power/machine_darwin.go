package power

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// batteryEvery: each look is a process.
const batteryEvery = 30 * time.Second

// pmsetTimeout bounds a look: the rest waits for it.
const pmsetTimeout = 2 * time.Second

// OnBattery says whether the machine runs on battery.
func OnBattery(ctx context.Context) (on, known bool) {
	ctx, cancel := context.WithTimeout(ctx, pmsetTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/pmset", "-g", "batt").Output()
	if err != nil {
		return false, false
	}
	return pmsetBattery(string(out))
}

// MemoryPressure says how short memory is.
func MemoryPressure() (level Level, known bool) {
	v, err := unix.SysctlUint32("kern.memorystatus_vm_pressure_level")
	if err != nil {
		return Normal, false
	}
	return kernelLevel(v)
}

// stayAwake runs caffeinate until the context ends.
func stayAwake(ctx context.Context) error {
	// A Ctrl-C is for us; the helper leaves when told to.
	return runHelper(ctx, caffeinate(os.Getpid()), &syscall.SysProcAttr{Setpgid: true})
}
