package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// rawLoop is a running raw loop. It computes only between a round's start and
// its answer.
type rawLoop struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	// stderr may be read once the process has ended.
	stderr bytes.Buffer
	ended  bool
}

// rawGrace is how long a raw loop has to end once its input is closed.
const rawGrace = 5 * time.Second

// startRaw starts the loop and waits until it has loaded the model.
func startRaw(ctx context.Context, cmd *exec.Cmd) (*rawLoop, error) {
	r := &rawLoop{cmd: cmd}
	cmd.Stderr = &r.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.in, r.out = in, json.NewDecoder(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the raw loop: %w", err)
	}
	var hello struct {
		Ready bool `json:"ready"`
	}
	if err := r.read(ctx, &hello); err != nil || !hello.Ready {
		return nil, fmt.Errorf("the raw loop does not start: %w", r.explain(err))
	}
	return r, nil
}

// round runs one round and returns its rate in tokens per second.
func (r *rawLoop) round(ctx context.Context) (float64, error) {
	if _, err := io.WriteString(r.in, "run\n"); err != nil {
		return 0, fmt.Errorf("the raw loop has ended: %w", r.explain(err))
	}
	var result struct {
		TokensPerSecond float64 `json:"tokens_per_second"`
	}
	if err := r.read(ctx, &result); err != nil {
		return 0, fmt.Errorf("the raw loop has ended: %w", r.explain(err))
	}
	if result.TokensPerSecond <= 0 {
		return 0, errors.New("the raw loop reports no rate")
	}
	return result.TokensPerSecond, nil
}

// read takes one answer. When ctx ends first it kills the process, which ends
// the reading.
func (r *rawLoop) read(ctx context.Context, into any) error {
	stop := context.AfterFunc(ctx, func() { _ = r.cmd.Process.Kill() })
	defer stop()
	err := r.out.Decode(into)
	return errors.Join(ctx.Err(), err)
}

// close ends the process and waits for it. How it ended says nothing more.
func (r *rawLoop) close() {
	if r.ended {
		return
	}
	r.ended = true
	_ = r.in.Close()
	kill := time.AfterFunc(rawGrace, func() { _ = r.cmd.Process.Kill() })
	defer kill.Stop()
	_ = r.cmd.Wait()
}

// explain ends the process and adds the last line that it wrote.
func (r *rawLoop) explain(err error) error {
	r.close()
	if err == nil {
		err = errors.New("unexpected answer")
	}
	lines := strings.Split(strings.TrimSpace(r.stderr.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Errorf("%w (%s)", err, last)
	}
	return err
}
