package hubtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Place is where a request comes in; they may be combined.
type Place int

const (
	API      Place = 1 << iota // /api/models
	Resolve                    // /resolve/ on the Hub, where redirects come from
	CDN                        // another host, where the bytes come from
	Anywhere = API | Resolve | CDN
)

// Always is for misbehaviour without end.
const Always = -1

// A Trouble is one kind of misbehaviour.
type Trouble struct {
	name string
	// instead answers, and nothing else does.
	instead func(h *Hub, w http.ResponseWriter, r *http.Request)
	// body spoils the answer; it's for requests of content only.
	body func(h *Hub, b *body)
}

// trouble is one that was asked for.
type trouble struct {
	Trouble
	at   Place
	path string
	left int // negative: always
}

// Misbehave makes the next so many requests (Always for all) that come to a place and are
// about a path go wrong. The path is a file's in its repository, its end, or a
// repository's id; "" is any. What was asked for first comes first. Troubles with a body
// pass over requests without one.
func (h *Hub) Misbehave(at Place, path string, times int, how Trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles = append(h.troubles, &trouble{how, at, path, times})
}

// Behave ends all misbehaviour.
func (h *Hub) Behave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles = nil
}

// trouble takes the next one for a request, if there is one. With content, one that
// spoils bodies is taken, without it one that answers instead.
func (h *Hub) trouble(at Place, repo, path string, content bool) *Trouble {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.troubles {
		if t.at&at == 0 || t.left == 0 || content == (t.body == nil) {
			continue
		}
		if t.path == "" || t.path == repo || strings.HasSuffix(path, t.path) {
			t.left--
			if t.left < 0 {
				t.left = Always
			}
			return &t.Trouble
		}
	}
	return nil
}

// Cut breaks the connection at a random byte of the answer.
func Cut() Trouble {
	return Trouble{name: "cut", body: func(_ *Hub, b *body) { b.anywhere = true }}
}

// CutAt breaks the connection after so many bytes of the answer.
func CutAt(bytes int64) Trouble {
	return Trouble{name: "cut", body: func(_ *Hub, b *body) { b.cut = bytes }}
}

// Lie announces so many bytes more than there are, or fewer with a negative number. With
// more the answer breaks off; with fewer it looks whole and isn't.
func Lie(bytes int64) Trouble {
	return Trouble{name: "lie", body: func(_ *Hub, b *body) { b.lie = bytes }}
}

// Changed serves another version of the file, of the same size and with another ETag, as
// if it had been replaced.
func Changed() Trouble {
	return Trouble{name: "changed", body: func(_ *Hub, b *body) {
		b.content, b.etag = changed{b.content}, b.etag[:1]+"0ther"+b.etag[1:]
	}}
}

// Corrupt serves other bytes than those of the digest, and says nothing.
func Corrupt() Trouble {
	return Trouble{name: "corrupt", body: func(_ *Hub, b *body) { b.content = changed{b.content} }}
}

// NoRanges ignores what part of the file was asked for, and sends all of it.
func NoRanges() Trouble {
	return Trouble{name: "no ranges", body: func(_ *Hub, b *body) { b.noRanges = true }}
}

// Trickle sends the answer a few bytes at a time, with a pause after each.
func Trickle(bytes int, pause time.Duration) Trouble {
	return Trouble{name: "trickle", body: func(_ *Hub, b *body) { b.trickle, b.pause = bytes, pause }}
}

// Stall sends so many bytes of the answer and then nothing, until the client gives up.
func Stall(bytes int64) Trouble {
	return Trouble{name: "stall", body: func(_ *Hub, b *body) { b.cut, b.stall = bytes, true }}
}

// HTML answers 200 with a page, as a hotel's network does.
func HTML() Trouble {
	return Trouble{name: "html", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Welcome</title><h1>Please log in to the network</h1>")
	}}
}

// Garbage answers 200 with a text, as JSON.
func Garbage(text string) Trouble {
	return Trouble{name: "garbage", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, text)
	}}
}

// Endless redirects to itself for ever, each time by another name.
func Endless() Trouble {
	return Trouble{name: "endless", instead: func(_ *Hub, w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("again"))
		q := r.URL.Query()
		q.Set("again", strconv.Itoa(n+1))
		http.Redirect(w, r, r.URL.EscapedPath()+"?"+q.Encode(), http.StatusFound)
	}}
}

// Elsewhere redirects to another address.
func Elsewhere(url string) Trouble {
	return Trouble{name: "elsewhere", instead: func(_ *Hub, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, url, http.StatusFound)
	}}
}

// Expired refuses an address as storage does when its signature is too old.
func Expired() Trouble {
	return Trouble{name: "expired", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) { denied(w) }}
}

// RateLimit answers 429 with the wait in Retry-After, rounded to seconds.
func RateLimit(wait time.Duration) Trouble {
	s := int(wait.Round(time.Second) / time.Second)
	return Trouble{name: "rate limit", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(s))
		limited(w, s)
	}}
}

// RateLimitPolicy answers 429 with the wait in the header RateLimit only, as the Hub does.
func RateLimitPolicy(wait time.Duration) Trouble {
	s := int(wait.Round(time.Second) / time.Second)
	return Trouble{name: "rate limit", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) { limited(w, s) }}
}

func limited(w http.ResponseWriter, seconds int) {
	w.Header().Set("RateLimit", fmt.Sprintf(`"api";r=0;t=%d`, seconds))
	w.Header().Set("RateLimit-Policy", `"fixed window";"api";q=500;w=300`)
	refuse(w, http.StatusTooManyRequests, "", "We had to rate limit your IP (127.0.0.1).")
}

// Status answers with a status and nothing else of use.
func Status(code int) Trouble {
	return Trouble{name: "status", instead: func(_ *Hub, w http.ResponseWriter, _ *http.Request) {
		refuse(w, code, "", http.StatusText(code))
	}}
}

// Drop breaks the connection before an answer.
func Drop() Trouble {
	return Trouble{name: "drop", instead: func(*Hub, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
}

// Silent never answers; the connection stays open until the client gives up.
func Silent() Trouble {
	return Trouble{name: "silent", instead: func(h *Hub, _ http.ResponseWriter, r *http.Request) {
		h.waitFor(r)
		panic(http.ErrAbortHandler)
	}}
}

// waitFor returns when the client has gone, or the test is over.
func (h *Hub) waitFor(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-h.done:
	}
}
