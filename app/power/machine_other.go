//go:build !linux && !darwin

package power

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

const batteryEvery = 0

// OnBattery doesn't know: only Linux and macOS are asked.
func OnBattery(context.Context) (on, known bool) { return false, false }

// MemoryPressure doesn't know: only Linux and macOS are asked.
func MemoryPressure() (level Level, known bool) { return Normal, false }

func stayAwake(context.Context) error {
	return fmt.Errorf("no way is known on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
