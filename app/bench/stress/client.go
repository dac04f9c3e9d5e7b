package stress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client sends what scenarios ask.
type client struct {
	target Target
	http   *http.Client
	slow   *http.Client
	// epoch is what times are counted from.
	epoch time.Time
}

func newClient(t Target, epoch time.Time) *client {
	return &client{
		target: t, epoch: epoch,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}},
		slow: &http.Client{Transport: slowTransport()},
	}
}

// slowReceive is the receive buffer of slow readers, in bytes: as small as
// systems allow, so that what they don't read waits in the server.
const slowReceive = 2048

func slowTransport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, ReadBufferSize: slowReceive,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(slowReceive) // a larger one only hides more from the server
			}
			return conn, err
		},
	}
}

func (c *client) close() {
	c.http.CloseIdleConnections()
	c.slow.CloseIdleConnections()
}

// mostAttempts bounds what a patient client puts up with.
const mostAttempts = 50

// do sends a request, and again when it is shed and patient, until it has an
// end. That the run was interrupted ends it, too; the sample is worthless then.
func (c *client) do(ctx context.Context, a Ask) *Sample {
	s := &Sample{Ask: &a, Start: time.Since(c.epoch)}
	for {
		at := c.attempt(ctx, a, s)
		s.Attempts = append(s.Attempts, at)
		s.End = time.Since(c.epoch)
		if at.Outcome != Shed || !a.Patient || at.RetryAfter < 0 || len(s.Attempts) == mostAttempts {
			return s
		}
		if !pause(ctx, at.RetryAfter) {
			return s
		}
	}
}

// pause waits, and says whether it was left to.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Why an attempt ended early.
var (
	errTimeout = errors.New("not whole in time")
	errLeave   = errors.New("time to leave")
)

func (c *client) attempt(ctx context.Context, a Ask, s *Sample) Attempt {
	ctx, cancel := context.WithTimeoutCause(ctx, a.Timeout, errTimeout)
	defer cancel()
	if a.Leave > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, a.Leave, errLeave)
		defer cancel()
	}
	started := time.Now()
	resp, err := c.send(ctx, a)
	if err != nil {
		return Attempt{Outcome: whyEnded(ctx, err, Unreachable), RetryAfter: -1, Reason: err.Error()}
	}
	defer resp.Body.Close()
	at := Attempt{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	if resp.StatusCode != http.StatusOK {
		at.Outcome = c.target.outcome(resp.StatusCode)
		at.Reason = firstBytes(resp)
		return at
	}
	err = c.read(resp.Body, a, s, started)
	s.E2E = time.Since(started)
	if err != nil {
		at.Outcome, at.Reason = whyEnded(ctx, err, Broken), err.Error()
		return at
	}
	at.Outcome = OK
	return at
}

func (c *client) send(ctx context.Context, a Ask) (*http.Response, error) {
	body, err := c.target.body(a)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.BaseURL+c.target.path(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	c.target.authorise(req.Header)
	if a.Agent != "" {
		req.Header.Set("X-Agent-Id", a.Agent)
	}
	if a.Pause > 0 {
		return c.slow.Do(req)
	}
	return c.http.Do(req)
}

// read reads an answer into the sample.
func (c *client) read(body io.Reader, a Ask, s *Sample, started time.Time) error {
	if a.Pause > 0 {
		body = &dawdler{r: body, pause: a.Pause}
	}
	var before time.Time
	return readEvents(body, func(e event) error {
		now := time.Now()
		s.count(e)
		text := e.text()
		if text == "" {
			return nil
		}
		if s.pieces == 0 {
			s.TTFT = now.Sub(started)
		} else {
			s.Gaps = append(s.Gaps, now.Sub(before))
		}
		before = now
		s.pieces++
		s.text.WriteString(text)
		if a.Keep {
			s.Times = append(s.Times, now.Sub(c.epoch))
		}
		if a.HangUp != nil && a.HangUp(s.pieces) {
			return errHungUp
		}
		return nil
	})
}

// count takes the usage from an event that has one.
func (s *Sample) count(e event) {
	for _, u := range []*usage{&e.Message.Usage, e.Usage} {
		if u == nil {
			continue
		}
		if n := u.PromptTokens + u.InputTokens + u.CacheCreation + u.CacheRead; n > 0 {
			s.PromptTokens = n
		}
		s.Tokens = max(s.Tokens, u.CompletionTokens, u.OutputTokens)
	}
}

// dawdler reads little, and seldom.
type dawdler struct {
	r     io.Reader
	pause time.Duration
}

// Read takes at most a few events' worth. It cannot be interrupted, so the
// pause must be short.
func (d *dawdler) Read(p []byte) (int, error) {
	time.Sleep(d.pause) // the pace of the reader; nothing is waited for
	return d.r.Read(p[:min(len(p), 512)])
}

// whyEnded tells ends that we made from those that happened to us.
func whyEnded(ctx context.Context, err error, otherwise Outcome) Outcome {
	switch {
	case errors.Is(err, errHungUp), errors.Is(context.Cause(ctx), errLeave):
		return Gone
	case errors.Is(context.Cause(ctx), errTimeout):
		return Timeout
	case ctx.Err() != nil:
		return Gone
	}
	return otherwise
}

func (t Target) outcome(status int) Outcome {
	switch {
	case status == http.StatusTooManyRequests, status == 529 && t.API == Anthropic:
		return Shed
	case status >= 400 && status < 500:
		return Refused
	}
	return Failed
}

// retryAfter reads both forms of the header; it is negative without one.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return -1
}

func firstBytes(resp *http.Response) string {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // the status alone says something
	return fmt.Sprintf("%s: %s", resp.Status, strings.Join(strings.Fields(string(raw)), " "))
}
