package stress

import "github.com/prometheus/procfs"

// workerName is what the worker's process is called.
const workerName = "samovar-engine"

// processes finds the worker by the id that the server tells, and the server as
// its parent. The name is checked: the server may be in another container, whose
// ids mean something else here.
func processes(workerPID int) (server, worker int) {
	proc, err := procfs.NewProc(workerPID)
	if err != nil {
		return 0, 0
	}
	st, err := proc.Stat()
	if err != nil || st.Comm != workerName {
		return 0, 0
	}
	return st.PPID, workerPID
}

// resident is a process's memory in MiB, 0 if there is no such process.
func resident(pid int) float64 {
	if pid == 0 {
		return 0
	}
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	st, err := proc.Stat()
	if err != nil {
		return 0
	}
	return float64(st.ResidentMemory()) / (1 << 20)
}
