package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// about is what a question was about, for the message if it's refused.
type about struct {
	id, rev string
}

func (a about) String() string {
	if a.id == "" {
		return "the list of models"
	}
	return a.id
}

const (
	hintLater = "Try again later."
	hintNet   = "Check the network and the proxy (HTTPS_PROXY), or set HF_ENDPOINT to a mirror."
	hintToken = "set HF_TOKEN or put the token into ~/.cache/huggingface/token"

	// longestRetry bounds what a server may tell us to wait. The Hub's windows have 5 min.
	longestRetry = time.Hour
	// drained is how much of a refusal's body is read, so that the connection can be
	// used again.
	drained = 64 << 10
)

// refusal says why the Hub didn't answer with what it was asked for. Its own texts aren't
// repeated: they are for users of its Python client.
func (c *Client) refusal(resp *http.Response, what about) *Error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, drained))
	e := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	code := resp.Header.Get("X-Error-Code")
	if code != "" || resp.Header.Get("X-Error-Message") != "" {
		e.Err = fmt.Errorf("%.200q", code+" "+resp.Header.Get("X-Error-Message"))
	}
	host, says := c.endpoint.Host, strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		e.Kind, e.Message, e.Hint = RateLimited, host+" has had too many requests from here.", hintLater
		if e.RetryAfter > 0 {
			e.Hint = fmt.Sprintf("Try again in %s.", e.RetryAfter.Round(time.Second))
		}
		if c.token == "" {
			e.Hint += " With a token the limits are higher: " + hintToken + "."
		}
	case status >= 500 || status == http.StatusRequestTimeout:
		e.Kind, e.Message, e.Hint = Unreachable, fmt.Sprintf("%s has a problem (%s).", host, says), hintLater
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		c.unauthorised(e, code, what)
	case status == http.StatusNotFound || status == http.StatusGone:
		c.missing(e, code, what)
	default:
		e.Kind, e.Message, e.Hint = BadAnswer, fmt.Sprintf("%s answered %s to a question about %s.", host, says, what), hintLater
	}
	return e
}

// unauthorised is for 401 and 403. With a token that is valid, what doesn't exist is 404,
// and with one that isn't what is gated is 401.
func (c *Client) unauthorised(e *Error, code string, what about) {
	page, token := c.Endpoint()+"/"+what.id, c.token != ""
	switch {
	case e.Status == http.StatusForbidden && token:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated.", what)
		e.Hint = fmt.Sprintf("Accept its licence at %s, with the account that the token belongs to; some owners must agree first.", page)
	case code == "GatedRepo" && token:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated, and the Hub doesn't accept the token.", what)
		e.Hint = fmt.Sprintf("Make another at %s/settings/tokens, then %s.", c.Endpoint(), hintToken)
	case code == "GatedRepo" || e.Status == http.StatusForbidden:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated.", what)
		e.Hint = fmt.Sprintf("Accept its licence at %s, then %s.", page, hintToken)
	case token && code != "RepoNotFound":
		e.Kind, e.Message = Gated, "The Hub doesn't accept the token."
		e.Hint = fmt.Sprintf("Make another at %s/settings/tokens, then %s.", c.Endpoint(), hintToken)
	default:
		c.missing(e, code, what)
	}
}

func (c *Client) missing(e *Error, code string, what about) {
	e.Kind = NotFound
	switch {
	case code == "RevisionNotFound":
		e.Message = fmt.Sprintf("%s has no revision %q.", what, what.rev)
		e.Hint = fmt.Sprintf("See %s/%s/tree/main for its branches.", c.Endpoint(), what.id)
	default:
		e.noRepo = true
		e.Message = fmt.Sprintf("%s isn't on the Hub, or it's private.", what)
		e.Hint = "Check its name."
		if c.token == "" {
			e.Hint += " If it's private, " + hintToken + "."
		}
	}
}

// unanswered is for requests that got no answer, or no whole one. A caller who gave up
// gets back their own reason.
func (c *Client) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address: the endpoint's may hold a password
	}
	host := c.endpoint.Host
	var late net.Error
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errManyRedirects):
		return c.nonsense(0, err)
	case errors.As(err, &late) && late.Timeout():
		return &Error{Kind: Unreachable, Message: fmt.Sprintf("%s didn't answer within %s.", host, patience), Hint: hintNet, Err: err}
	default:
		return &Error{Kind: Unreachable, Message: host + " can't be reached.", Hint: hintNet, Err: err}
	}
}

func (c *Client) nonsense(status int, err error) *Error {
	return &Error{
		Kind: BadAnswer, Status: status, Err: err,
		Message: fmt.Sprintf("%s gave an answer that isn't the Hub's.", c.endpoint.Host),
		Hint:    "If this network has a log-in page, log in; else check the proxy and HF_ENDPOINT.",
	}
}

func (c *Client) misconfigured() *Error {
	return &Error{
		Kind: Unreachable, Err: c.broken,
		Message: "The address of the Hub can't be read.",
		Hint:    "Set HF_ENDPOINT to an https address, or to nothing.",
	}
}

// rateLimitForm is of the header RateLimit: "api";r=0;t=55, where t is in seconds and r
// is what's left (draft-ietf-httpapi-ratelimit-headers).
var rateLimitForm = regexp.MustCompile(`;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})`)

// retryAfter reads when a retry makes sense, 0 if the answer doesn't say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	wait := time.Duration(0)
	after := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.Atoi(after); err == nil {
		wait = time.Duration(min(max(s, 0), int(longestRetry/time.Second))) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		wait = at.Sub(now)
	} else if m := rateLimitForm.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		s, _ := strconv.Atoi(m[1])
		wait = time.Duration(s) * time.Second
	}
	return min(max(wait, 0), longestRetry)
}
