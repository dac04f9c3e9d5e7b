package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// maxRedirects is how many are followed for one request.
const maxRedirects = 10

// A route leads from the address that was asked for to where the file is. It remembers
// the end of it, which may be good for a while only, and finds it anew when the server
// there refuses.
type route struct {
	client *http.Client // follows no redirects
	origin *url.URL
	token  string

	mu   sync.Mutex
	last *place
}

// A place is where redirects led to.
type place struct {
	url   *url.URL
	token bool // no redirect has left the origin's host
	etag  string
}

// A reply is an answer that is no redirect.
type reply struct {
	*http.Response
	place *place
	// fresh: the origin was asked just now; linked is its X-Linked-Etag then.
	fresh  bool
	linked string
	// direct: no redirect led to another host.
	direct bool
}

// ask requests a span of the file, or all of it if the span is empty. condition says
// which If-Range a place is sent, "" for none.
func (r *route) ask(ctx context.Context, s span, condition func(*place) string) (*reply, error) {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	if last != nil {
		resp, err := r.get(ctx, last, s, condition(last))
		if err == nil && !refused(resp.StatusCode) {
			return &reply{Response: resp, place: last, direct: last.token}, nil
		}
		r.forget(last)
		if err != nil {
			return nil, err
		}
		if last.url == r.origin { // there is nobody else to ask
			return &reply{Response: resp, place: last, fresh: true, direct: true}, nil
		}
		resp.Body.Close()
	}
	return r.find(ctx, s, condition)
}

// refused says whether the origin may know better than a place that answers so.
func refused(status int) bool {
	return status >= 300 && status != http.StatusRequestedRangeNotSatisfiable && status != http.StatusTooManyRequests
}

func (r *route) forget(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == p {
		r.last = nil
	}
}

// settle remembers where a good answer came from, and by which mark that place knows
// the file.
func (r *route) settle(from *reply, etag string) {
	if !from.fresh {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Nobody else has this place yet; from now on it doesn't change.
	from.place.etag = etag
	r.last = from.place
}

// find follows redirects from the origin.
func (r *route) find(ctx context.Context, s span, condition func(*place) string) (*reply, error) {
	at := &place{url: r.origin, token: true}
	linked := ""
	for range maxRedirects + 1 {
		resp, err := r.get(ctx, at, s, condition(at))
		if err != nil {
			return nil, err
		}
		if tag := resp.Header.Get("X-Linked-Etag"); tag != "" && at.token {
			linked = bare(tag)
		}
		if !redirects(resp.StatusCode) {
			return &reply{Response: resp, place: at, fresh: true, linked: linked, direct: at.token}, nil
		}
		resp.Body.Close()
		to, err := at.url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
			return nil, bad(resp.StatusCode, "%s sends us on to an address that is none.", at.url.Host)
		}
		// What has left the origin's host doesn't get the token even if it comes back:
		// another host chose where to.
		at = &place{url: to, token: at.token && sameSite(to, r.origin)}
	}
	return nil, bad(0, "%s sends us on without end.", r.origin.Host)
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

// sameSite says whether a token for one may be sent to the other.
func sameSite(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

func (r *route) get(ctx context.Context, at *place, s span, condition string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url.String(), nil)
	if err != nil {
		return nil, &Error{Kind: Invalid, Message: "The address cannot be requested.", Hint: hintSource, Err: errors.Unwrap(err)}
	}
	if !at.token {
		req.URL.User = nil // a password is a token, too
	}
	req.Header.Set("Accept-Encoding", "identity") // ranges are of the file, not of what packs it
	req.Header.Set("User-Agent", "samovar")
	if r.token != "" && at.token {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if s.len() > 0 {
		req.Header.Set("Range", rangeHeader(s))
		if condition != "" {
			req.Header.Set("If-Range", condition)
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, unreachable(at.url.Host, err)
	}
	return resp, nil
}

func rangeHeader(s span) string {
	if s.to == unknownEnd {
		return fmt.Sprintf("bytes=%d-", s.from)
	}
	return fmt.Sprintf("bytes=%d-%d", s.from, s.to-1)
}

// bare is an entity tag without its quotes and weakness.
func bare(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

var sha256Hex = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// digestIn is the SHA-256 that an entity tag is; "" if it's another one.
func digestIn(tag string) string {
	if tag = bare(tag); sha256Hex.MatchString(tag) {
		return strings.ToLower(tag)
	}
	return ""
}
