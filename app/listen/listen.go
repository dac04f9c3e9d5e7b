package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Owner is the process that listens on a port. Fields are zero when the
// system doesn't tell us.
type Owner struct {
	PID  int
	Name string
	// User is set where only the owning user is visible to us.
	User string
}

// String names the owner for a sentence.
func (o Owner) String() string {
	switch {
	case o.PID > 0 && o.Name != "":
		return fmt.Sprintf("%s (pid %d)", o.Name, o.PID)
	case o.PID > 0:
		return fmt.Sprintf("the process with pid %d", o.PID)
	case o.User != "":
		return "a process of user " + o.User
	default:
		return "another process"
	}
}

// Error says why an address cannot be listened on.
type Error struct {
	Addr string
	// Owner is set if the port is taken.
	Owner *Owner
	cause error
}

// Error names the process that has the port, and says what to do.
func (e *Error) Error() string {
	if e.Owner == nil {
		return fmt.Sprintf("cannot listen on %s: %v; choose another address with --addr", e.Addr, e.cause)
	}
	return fmt.Sprintf("the port of %s is taken by %s; stop it, or choose another port with --addr (127.0.0.1:0 takes any free one)", e.Addr, e.Owner)
}

// Unwrap returns the system's error.
func (e *Error) Unwrap() error { return e.cause }

// TCP listens on addr. Its error is an *Error.
func TCP(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		return ln, nil
	}
	failed := &Error{Addr: addr, cause: rootCause(err)}
	if errors.Is(err, syscall.EADDRINUSE) {
		failed.Owner = &Owner{}
		if _, port, err := net.SplitHostPort(addr); err == nil {
			if n, err := strconv.Atoi(port); err == nil {
				*failed.Owner = ownerOf(ctx, n)
			}
		}
	}
	return nil, failed
}

// rootCause drops net's wrapping, which repeats the address.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
