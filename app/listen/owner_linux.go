package listen

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// ownerOf looks a listening port up in the kernel's socket tables, then looks
// for the process that has the socket open. Other users' processes hide their
// descriptors; then the socket's user is all that there is to say.
func ownerOf(_ context.Context, port int) Owner {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		inode, uid := findListener(f, port)
		_ = f.Close()
		if inode == "" {
			continue
		}
		if o, ok := holderOf(inode); ok {
			return o
		}
		return Owner{User: userName(uid)}
	}
	return Owner{}
}

// Columns of /proc/net/tcp, see proc_pid_net(5).
const (
	columnLocal = 1
	columnState = 3
	columnUID   = 7
	columnInode = 9
	stateListen = "0A"
)

// findListener reads a socket table and returns the inode and user of the
// socket that listens on port.
func findListener(table io.Reader, port int) (inode, uid string) {
	for lines := bufio.NewScanner(table); lines.Scan(); {
		cols := strings.Fields(lines.Text())
		if len(cols) <= columnInode || cols[columnState] != stateListen {
			continue
		}
		_, hex, ok := strings.Cut(cols[columnLocal], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); ok && err == nil && int(n) == port {
			return cols[columnInode], cols[columnUID]
		}
	}
	return "", ""
}

func holderOf(inode string) (Owner, bool) {
	want := "socket:[" + inode + "]"
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return Owner{}, false
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != want {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join(dir, "comm")) // the name is a courtesy
		return Owner{PID: pid, Name: string(bytes.TrimSpace(comm))}, true
	}
	return Owner{}, false
}

func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}
