package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sys/unix"
)

// recording is what came over a connection, and when.
type recording []segment

type segment struct {
	at   time.Time
	data []byte
}

// record sends req over a connection of its own and records the answer until the
// server closes it, or ctx is done. It reads with blocking system calls and looks at nothing until
// the end: net/http's client costs as much for each token as the server does, on
// the cores that compute, and would be measured with it.
func record(ctx context.Context, req *http.Request) (recording, error) {
	fd, err := connect(ctx, req.URL)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// Shutting down ends a read that waits.
	stop := context.AfterFunc(ctx, func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR) })
	defer stop()
	req.Close = true
	out := bufio.NewWriter(fdWriter(fd))
	if err := req.Write(out); err != nil {
		return nil, err
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	var r recording
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case ctx.Err() != nil:
			return r, nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("read the answer: %w", err)
		case n == 0:
			return r, nil
		}
		r = append(r, segment{time.Now(), append([]byte(nil), buf[:n]...)})
	}
}

// connect returns a blocking socket.
func connect(ctx context.Context, to *url.URL) (int, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return 0, err
	}
	unix.CloseOnExec(fd)
	return fd, unix.SetNonblock(fd, false)
}

type fdWriter int

func (w fdWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(w), p[done:])
		if err != nil && err != unix.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// replay reads a recording segment by segment, and knows when the last one that
// was read had arrived.
type replay struct {
	left recording
	now  time.Time
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	first := &r.left[0]
	r.now = first.at
	n := copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		r.left = r.left[1:]
	}
	return n, nil
}

// response parses a recording. What is read from its body has arrived at r.now.
func (r *replay) response(req *http.Request) (*http.Response, error) {
	return http.ReadResponse(bufio.NewReaderSize(r, 64<<10), req)
}
