package download

import "golang.org/x/sys/unix"

// bootID is another one after each start of the system; "" if it isn't known.
func bootID() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid")
	return id
}
