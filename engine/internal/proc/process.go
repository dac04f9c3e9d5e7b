package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	// Env is the child's whole environment.
	Env []string
	Dir string
}

// Process is a running child. One goroutine owns In and Out; the methods may be
// called by any.
type Process struct {
	// In takes what the child reads; closing it asks the child to leave.
	In io.WriteCloser
	// Out gives what the child writes to descriptor 3.
	Out io.ReadCloser

	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error
}

// tailBytes is how much of the child's last output is kept.
const tailBytes = 16 << 10

// Start starts the child.
func Start(s Spec) (*Process, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = s.Env
	cmd.Dir = s.Dir
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childOut.Close()
	p := &Process{In: in, Out: out, cmd: cmd, tail: newTail(tailBytes), done: make(chan struct{})}
	cmd.ExtraFiles = []*os.File{childOut}
	cmd.Stdout, cmd.Stderr = p.tail, p.tail
	// Output copying must not outlive the child, should it leave a child of its own.
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.Path, err), in.Close(), out.Close())
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended: nil for exit code 0. Call it after Done.
func (p *Process) Err() error { return p.err }

// Tail returns the end of what the child printed.
func (p *Process) Tail() string { return p.tail.String() }

// Stop asks the child to leave, gives it grace, kills it, and waits. Then Out
// is closed. It may be called more than once.
func (p *Process) Stop(grace time.Duration) {
	_ = p.In.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
	<-p.done
	_ = p.Out.Close()
}

// Kill ends the child now. It does not wait.
func (p *Process) Kill() { _ = p.cmd.Process.Kill() }

// tail is a writer that keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	size int
}

func newTail(size int) *tail { return &tail{size: size} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.size; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
