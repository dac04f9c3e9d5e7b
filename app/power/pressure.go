package power

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Level is how short memory is.
type Level int

// At Warn caches should shrink; at Critical the system may soon end processes.
const (
	Normal Level = iota
	Warn
	Critical
)

// String is the level for a log and for the API.
func (l Level) String() string {
	switch l {
	case Normal:
		return "normal"
	case Warn:
		return "warn"
	case Critical:
		return "critical"
	default:
		return fmt.Sprintf("Level(%d)", int(l))
	}
}

// Shares of time, in percent, that tasks have waited for memory. Those who warn
// applications do it early, those who end processes do it late:
//
//	low-memory-monitor   7 % some: low, 10 % some: medium, 10 % full: critical (in 1 s)
//	GLib's own monitor   3.5 %, 5 % and 5 % of the same (in 2 s)
//	Android's lmkd       7 % some, 70 % full (in 1 s): begins to end processes
//	systemd-oomd         60 % full for 30 s: ends processes
//
// An application is warned here, so these are low-memory-monitor's. They're applied to
// averages over 10 s, which leave a shortage of a moment out.
const (
	warnSome     = 10.0
	criticalFull = 10.0
)

// LevelOf judges Linux's pressure stall information: the percentage of the last 10 s in
// which some, or all (full), tasks with work to do waited for memory.
func LevelOf(some, full float64) Level {
	switch {
	case full >= criticalFull:
		return Critical
	case some >= warnSome:
		return Warn
	default:
		return Normal
	}
}

// kernelLevel translates macOS's kern.memorystatus_vm_pressure_level.
func kernelLevel(v uint32) (level Level, known bool) {
	switch v {
	case 1:
		return Normal, true
	case 2:
		return Warn, true
	case 4:
		return Critical, true
	default:
		return Normal, false
	}
}

// pressureIn is the worse of the machine's level and that of the control groups which
// limit us: a container can be short of memory on a machine that has plenty. root is the
// machine's file system.
func pressureIn(root fs.FS) (level Level, known bool) {
	for _, file := range append([]string{"proc/pressure/memory"}, limitedGroups(root)...) {
		raw, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		if some, full, ok := parseStalls(string(raw)); ok {
			level, known = max(level, LevelOf(some, full)), true
		}
	}
	return level, known
}

// limitedGroups lists the memory.pressure of our control group (version 2) and of those
// above it, where the group has a limit. In a container the topmost that can be seen is
// the container's.
func limitedGroups(root fs.FS) (files []string) {
	raw, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(raw)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue // a hierarchy of version 1, which has no pressure
		}
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			dir := path.Join("sys/fs/cgroup", at)
			if limited(root, dir+"/memory.max") || limited(root, dir+"/memory.high") {
				files = append(files, dir+"/memory.pressure")
			}
			if at == "/" {
				break
			}
		}
	}
	return files
}

func limited(root fs.FS, file string) bool {
	raw, err := fs.ReadFile(root, file)
	return err == nil && strings.TrimSpace(string(raw)) != "max"
}

// parseStalls reads a file of pressure stall information, two lines like
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
//
// and returns the averages over 10 s; see the kernel's Documentation/accounting/psi.rst.
func parseStalls(text string) (some, full float64, ok bool) {
	var hasSome, hasFull bool
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		value, found := strings.CutPrefix(fields[1], "avg10=")
		share, err := strconv.ParseFloat(value, 64)
		if !found || err != nil || !(share >= 0 && share <= 100) { // not a number is neither
			continue
		}
		switch fields[0] {
		case "some":
			some, hasSome = share, true
		case "full":
			full, hasFull = share, true
		}
	}
	return some, full, hasSome && hasFull
}
