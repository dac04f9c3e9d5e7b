//go:build !linux

package stress

// processes are not looked into on this system: that needs /proc. What depends on
// it is reported as not measured.
func processes(int) (server, worker int) { return 0, 0 }

func resident(int) float64 { return 0 }
