//go:build !linux

package listen

import (
	"context"
	"os/exec"
	"time"
)

// lsofTimeout bounds a courtesy: the error is worth more at once than a name.
const lsofTimeout = 2 * time.Second

// ownerOf asks lsof, which every macOS has.
func ownerOf(ctx context.Context, port int) Owner {
	ctx, cancel := context.WithTimeout(ctx, lsofTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/sbin/lsof", lsofArgs(port)...).Output()
	if err != nil {
		return Owner{}
	}
	return parseLsof(string(out))
}
