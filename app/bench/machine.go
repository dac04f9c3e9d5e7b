package bench

import "runtime"

// ThisMachine describes where we run.
func ThisMachine() Machine {
	cpu := cpuName()
	if cpu == "" {
		cpu = "unknown CPU"
	}
	return Machine{CPU: cpu, Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
}
