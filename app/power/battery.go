package power

import (
	"io/fs"
	"strings"
)

// sysfsBattery reads Linux's /sys/class/power_supply, given as a file system; the files
// are described in the kernel's Documentation/ABI/testing/sysfs-class-power.
//
// A machine that gets power from outside doesn't run on battery, even if a charger too
// weak for it lets the battery sink. One without any battery doesn't either.
func sysfsBattery(supplies fs.FS) (on, known bool) {
	entries, err := fs.ReadDir(supplies, ".")
	if err != nil {
		return false, false
	}
	discharging := false
	for _, e := range entries {
		attribute := func(name string) string {
			raw, _ := fs.ReadFile(supplies, e.Name()+"/"+name) // a supply has only some
			return strings.TrimSpace(string(raw))
		}
		if attribute("scope") == "Device" {
			continue // it feeds a mouse or the like, not the machine
		}
		switch attribute("type") {
		case "Mains", "USB":
			// 1 is a fixed supply, 2 one that can be adjusted.
			if online := attribute("online"); online == "1" || online == "2" {
				return false, true
			}
		case "Battery", "UPS":
			discharging = discharging || attribute("status") == "Discharging"
		}
	}
	return discharging, true
}

// pmsetBattery reads what macOS's `pmset -g batt` prints. Its first line says what feeds
// the machine; a UPS only does while the mains are gone.
func pmsetBattery(out string) (on, known bool) {
	_, rest, _ := strings.Cut(out, "Now drawing from '")
	source, _, _ := strings.Cut(rest, "'")
	switch source {
	case "AC Power":
		return false, true
	case "Battery Power", "UPS Power":
		return true, true
	default:
		return false, false
	}
}
