package download

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// elsewhere is a site's address by another name of the same machine.
func elsewhere(s *site) string { return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }

// A token goes to the host that it's for, and nowhere else.
func TestTokens(t *testing.T) {
	data := noise(1, 1<<20)
	for name, c := range map[string]struct {
		to     func(s *site) string
		tokens bool
	}{
		"another host": {func(s *site) string { return elsewhere(s) + "/blob?sig=secret" }, false},
		"another port": {nil, false},
		"relative":     {func(*site) string { return "../blob" }, true},
		"same host":    {func(s *site) string { return s.URL + "/blob" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, data)
			blobs, other := s, serve(t, data)
			to := "/"
			if c.to == nil {
				blobs, to = other, other.URL+"/blob"
			} else {
				to = c.to(s)
			}
			var leaks, resolved atomic.Int64
			hook := func(_ int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/blob" {
					resolved.Add(1)
					w.Header().Set("Location", to)
					w.WriteHeader(http.StatusFound)
					return true
				}
				if got := r.Header.Get("Authorization") != ""; got != c.tokens {
					leaks.Add(1)
				}
				return r.Header.Get("Referer") != ""
			}
			s.before, other.before = hook, hook
			b := newBench(t, s, quick(""))
			b.file.URL, b.file.Token = s.URL+"/a/resolve?secret=1", "secret"
			_, err := b.fetch()
			require.NoError(t, err)
			b.has(data)
			require.Zero(t, leaks.Load())
			require.EqualValues(t, 1, resolved.Load(), "the way is known after the first time")
			require.Greater(t, blobs.served.Load(), int64(0))
		})
	}
}

// What comes back to its own host by way of another doesn't have the token any more: the
// other one chose what to ask for.
func TestATokenDoesNotComeBack(t *testing.T) {
	data := noise(1, 1000)
	s, other := serve(t, data), serve(t, nil)
	other.do(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, s.URL+"/blob", http.StatusTemporaryRedirect)
		return true
	})
	var leaked atomic.Bool
	s.do(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/blob" {
			leaked.Store(r.Header.Get("Authorization") != "")
			return false
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
		return true
	})
	b := newBench(t, s, quick(""))
	b.file.Token = "secret"
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.False(t, leaked.Load())
	require.Zero(t, other.tokens.Load())
}

func TestATokenDoesNotLeaveHTTPS(t *testing.T) {
	data := noise(1, 1000)
	plain := serve(t, data)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	b := newBench(t, plain, quick(""))
	insecure := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(insecure.CloseIdleConnections)
	b.client.Transport = insecure
	b.file.URL, b.file.Token = secure.URL, "secret"
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.Zero(t, plain.tokens.Load())
}

// A signed address is good for a while; then the first one is asked for another.
func TestSignedAddressesExpire(t *testing.T) {
	data := noise(1, 4<<20)
	for _, status := range []int{http.StatusForbidden, http.StatusGone} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := serve(t, data)
			var signed, used, refused atomic.Int64
			s.do(func(_ int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/blob" {
					w.Header().Set("X-Linked-Etag", `"`+digest(data)+`"`)
					http.Redirect(w, r, fmt.Sprintf("%s/blob?sig=%d", elsewhere(s), signed.Add(1)), http.StatusFound)
					return true
				}
				if used.Add(1)%5 == 0 && r.URL.Query().Get("sig") == fmt.Sprint(signed.Load()) {
					refused.Add(1)
					w.WriteHeader(status)
					return true
				}
				return false
			})
			b := newBench(t, s, quick(""))
			_, err := b.fetch()
			require.NoError(t, err)
			b.has(data)
			require.Positive(t, refused.Load())
			require.Greater(t, signed.Load(), int64(1))
			require.EqualValues(t, len(data), s.served.Load())
		})
	}
}

// The content's own digest counts, and not what the place where it lies today calls it.
func TestAnotherPlaceIsNoOtherFile(t *testing.T) {
	data := noise(1, 4<<20)
	hub, one, two := serve(t, nil), serve(t, data), serve(t, data)
	two.etag = `"quite another"`
	at := one
	hub.do(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("X-Linked-Etag", `"`+digest(data)+`"`)
		http.Redirect(w, r, at.URL, http.StatusFound)
		return true
	})
	b := newBench(t, hub, quick(""))
	interrupted(t, one, b)
	at = two
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.EqualValues(t, len(data), b.count.Load())
}

func TestATenthRedirectIsFollowed(t *testing.T) {
	data := noise(1, 1000)
	s := serve(t, data)
	s.do(func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n > 10 {
			return false
		}
		http.Redirect(w, r, fmt.Sprint("/", n), http.StatusMovedPermanently)
		return true
	})
	b := newBench(t, s, quick(""))
	_, err := b.fetch()
	require.NoError(t, err)
	b.has(data)
}

func TestAPasswordIsAToken(t *testing.T) {
	data := noise(1, 1000)
	s, other := serve(t, nil), serve(t, data)
	s.do(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusFound)
		return true
	})
	b := newBench(t, s, quick(""))
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("me", "secret")
	b.file.URL = u.String()
	_, err = b.fetch()
	require.NoError(t, err)
	b.has(data)
	require.EqualValues(t, 1, s.tokens.Load())
	require.Zero(t, other.tokens.Load())
}
