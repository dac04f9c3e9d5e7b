package download

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An answer is what a reply says, read and not yet believed.
type answer struct {
	status   int
	span     span  // of a 206: which bytes follow; of others: from the start, as far as is known
	total    int64 // bytes of the file; -1 if it isn't said
	length   int64 // bytes that follow; -1 if it isn't said
	framed   bool  // the end of what follows can be told from a cut
	mark     identity
	page     bool // HTML
	encoding string
}

// read returns what a reply says; the error is of one that contradicts itself.
func read(r *reply) (answer, *Error) {
	h := r.Header
	a := answer{
		status: r.StatusCode, length: r.ContentLength, total: -1,
		mark:     identity{ETag: h.Get("ETag"), Linked: r.linked, Modified: h.Get("Last-Modified")},
		framed:   r.ContentLength >= 0 || len(r.TransferEncoding) > 0 || r.ProtoMajor >= 2,
		encoding: h.Get("Content-Encoding"),
	}
	if kind, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		a.page = kind == "text/html"
	}
	switch r.StatusCode {
	case http.StatusPartialContent:
		var ok bool
		if a.span, a.total, ok = parseContentRange(h.Get("Content-Range")); !ok {
			return a, bad(a.status, "%s doesn't say which part of the file it sends.", r.place.url.Host)
		}
	case http.StatusOK:
		a.total, a.span = a.length, span{0, a.length}
	case http.StatusRequestedRangeNotSatisfiable:
		if n, err := strconv.ParseInt(strings.TrimPrefix(h.Get("Content-Range"), "bytes */"), 10, 64); err == nil {
			a.total = n
		}
	}
	return a, nil
}

// parseContentRange reads "bytes 0-9/100"; the total is -1 if it is "*".
func parseContentRange(s string) (of span, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	if !ok {
		return of, 0, false
	}
	part, all, ok1 := strings.Cut(s, "/")
	first, last, ok2 := strings.Cut(part, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	unsigned, err3 := strconv.ParseUint(all, 10, 63)
	total = int64(unsigned)
	if all == "*" {
		total, err3 = -1, nil
	}
	if err := cmp.Or(err1, err2, err3); err != nil || !ok1 || !ok2 {
		return of, 0, false
	}
	if from < 0 || to < from || to == unknownEnd || total >= 0 && to >= total {
		return of, 0, false
	}
	return span{from, to + 1}, total, true
}

// same says whether an answer is of the same state of the file as is known; at is the
// mark that the same place used before, "" if it hasn't been asked before.
func (id identity) same(other identity, at string) bool {
	if at == "" && id.Linked != "" && other.Linked != "" {
		// The origin knows the content. Where that lies, and what it's called there, may
		// be another place each time.
		return id.Linked == other.Linked
	}
	tag := cmp.Or(at, id.ETag)
	switch {
	case tag != "" && other.ETag != "":
		return bare(tag) == bare(other.ETag)
	case id.Modified != "" && other.Modified != "":
		return id.Modified == other.Modified
	default:
		return true // there is only the size
	}
}

// condition is what makes a server send all of a file that is no longer the same, in
// an If-Range; "" if there is nothing that is exact enough.
func (id identity) condition(at *place) string {
	if at.etag == "" && id.Linked != "" {
		return ""
	}
	tag := cmp.Or(at.etag, id.ETag)
	if strings.HasPrefix(tag, `"`) {
		return tag
	}
	return ""
}

// refusal says what a status means that brings no bytes.
func refusal(r *reply, token bool, now time.Time) error {
	host, status := r.place.url.Host, r.StatusCode
	said := fmt.Sprintf("%s answers %d %s.", host, status, http.StatusText(status))
	e := &Error{Kind: BadServer, Status: status, Message: said, Hint: hintSource}
	wait := retryAfter(r.Header.Get("Retry-After"), now)
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind, e.Message = RateLimited, host+" wants fewer requests (429)."
		e.Hint = hintAgain
		if wait > 0 {
			e.Hint = fmt.Sprintf("Download it again in %s: what has come is kept.", wait.Round(time.Second))
		}
		return &passing{err: e, after: wait}
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		e.Hint = hintAgain
		return &passing{err: e, after: wait}
	case !r.direct && status != http.StatusUnauthorized:
		// A redirect led here just now, so that the address should have been good.
		e.Hint = hintAgain
		return &passing{err: e, after: wait}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Kind, e.Hint = Gated, hintLicence
		if token {
			e.Hint = hintToken
		}
		e.Message = fmt.Sprintf("%s gives this file only to those it knows (%d).", host, status)
	case status == http.StatusNotFound, status == http.StatusGone:
		e.Kind, e.Message = NotFound, fmt.Sprintf("%s has no such file (%d).", host, status)
	}
	return e
}

// retryAfter reads a Retry-After: seconds or a date. 0 if there is none.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return max(time.Duration(n)*time.Second, 0)
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
