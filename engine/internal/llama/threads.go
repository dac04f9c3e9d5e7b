package llama

import (
	"os"
	"path/filepath"
	"runtime"
)

// defaultThreads is how many threads compute when nobody says: one for each
// physical core. llama.cpp's threads spin while they wait for each other, so two
// on one core, or more than there are cores, slow each other down.
func defaultThreads() int {
	return max(1, min(runtime.NumCPU(), physicalCores("/sys/devices/system/cpu")))
}

// physicalCores counts the cores below a Linux sysfs folder; where it says
// nothing, every logical processor counts as one.
func physicalCores(dir string) int {
	lists, _ := filepath.Glob(filepath.Join(dir, "cpu[0-9]*", "topology", "thread_siblings_list"))
	cores := map[string]bool{}
	for _, path := range lists {
		if siblings, err := os.ReadFile(path); err == nil {
			cores[string(siblings)] = true
		}
	}
	if len(cores) == 0 {
		return runtime.NumCPU()
	}
	return len(cores)
}
