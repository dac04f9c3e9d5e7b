package window

import "golang.org/x/sys/unix"

// keepPipes keeps processes that are started from inheriting what is open here. The pipes
// of the page's requests are not marked so: one that a long-lived process holds open would
// never end for the page. Systems before 5.11 cannot, and have that blemish.
func keepPipes() {
	_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}
