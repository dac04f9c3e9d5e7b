package download

import (
	"os"
	"strings"
)

// bootID is another one after each start of the system; "" if it isn't known.
func bootID() string {
	raw, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw))
}
