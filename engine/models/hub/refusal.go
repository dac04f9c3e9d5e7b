package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// about is what a question was about, for the message if it's refused.
type about struct {
	id, rev, file string
}

func (a about) String() string {
	switch {
	case a.id == "" && a.file == "":
		return "the list of models"
	case a.id == "":
		return a.file
	default:
		return a.id
	}
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

// refusal says why the Hub, or the storage behind it, didn't answer with what it was
// asked for. The Hub's own texts aren't repeated: they name its Python client.
func (c *Client) refusal(resp *http.Response, what about) *Error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, drained))
	e := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	code := resp.Header.Get("X-Error-Code")
	if code != "" || resp.Header.Get("X-Error-Message") != "" {
		e.Err = fmt.Errorf("%s: %.200q", resp.Status, code+" "+resp.Header.Get("X-Error-Message"))
	}
	host := resp.Request.URL.Host
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
		e.Kind, e.Message, e.Hint = Unreachable, fmt.Sprintf("%s has a problem (%s).", host, resp.Status), hintLater
	case !c.home(resp.Request.URL):
		c.refusedElsewhere(e, host, what)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		c.unauthorised(e, code, resp.Request.Header.Get("Authorization") != "", what)
	case status == http.StatusNotFound || status == http.StatusGone:
		c.missing(e, code, what)
	default:
		e.Kind, e.Message, e.Hint = BadAnswer, fmt.Sprintf("%s answered %s to a question about %s.", host, resp.Status, what), hintLater
	}
	return e
}

// refusedElsewhere is by storage: what it forbids is a link that has expired.
func (c *Client) refusedElsewhere(e *Error, host string, what about) {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		e.Kind, e.Message, e.Hint = NotFound, fmt.Sprintf("%s isn't at %s.", what, host), "Check the address."
	default:
		e.Kind = BadAnswer
		e.Message, e.Hint = fmt.Sprintf("%s refused the link to %s (%d).", host, what, e.Status), "Try again: links expire."
	}
}

func (c *Client) unauthorised(e *Error, code string, token bool, what about) {
	page := c.Endpoint() + "/" + what.id
	switch {
	case code == "GatedRepo" && e.Status == http.StatusForbidden, code != "RepoNotFound" && e.Status == http.StatusForbidden && token:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated.", what)
		e.Hint = fmt.Sprintf("Accept its licence at %s, with the account that the token belongs to; some owners must agree first.", page)
	case code == "GatedRepo" && token:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated, and the Hub doesn't accept the token.", what)
		e.Hint = fmt.Sprintf("Make another at %s/settings/tokens, then %s.", c.Endpoint(), hintToken)
	case code == "GatedRepo" || e.Status == http.StatusForbidden:
		e.Kind, e.Message = Gated, fmt.Sprintf("%s is gated.", what)
		e.Hint = fmt.Sprintf("Accept its licence at %s, then %s.", page, hintToken)
	case token && code != "RepoNotFound":
		// With a token that is valid, what is missing is 404.
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
	case code == "EntryNotFound" && what.file != "":
		e.Message = fmt.Sprintf("%s has no file %q.", what, what.file)
		e.Hint = fmt.Sprintf("See %s/%s/tree/main for its files.", c.Endpoint(), what.id)
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
func (c *Client) unanswered(ctx context.Context, asked *url.URL, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address, which may be signed
	}
	host := asked.Host
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errPlain), errors.Is(err, errManyRedirects):
		return c.nonsense(0, err)
	case errors.Is(err, context.DeadlineExceeded):
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
