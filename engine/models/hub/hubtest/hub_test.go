package hubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	repoID = "owner/repo"
	model  = "model-Q4_K_M.gguf"
)

// browser asks the fake without any of our own client, and follows redirects if asked to.
type browser struct {
	t      *testing.T
	client *http.Client
	token  string
	follow bool
}

func newBrowser(t *testing.T, follow bool) *browser {
	b := &browser{t: t, follow: follow}
	b.client = &http.Client{Transport: &http.Transport{}, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if !b.follow {
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return errors.New("too many")
		}
		return nil
	}}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// ask returns the answer and what could be read of its body.
func (b *browser) ask(method, url string, header ...string) (*http.Response, []byte, error) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, nil)
	require.NoError(b.t, err)
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (b *browser) must(method, url string, header ...string) (*http.Response, []byte) {
	b.t.Helper()
	resp, body, err := b.ask(method, url, header...)
	require.NoError(b.t, err)
	return resp, body
}

func data(n int) []byte {
	p := make([]byte, n)
	_, _ = Generated(7, int64(n)).ReadAt(p, 0)
	return p
}

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

func TestTheProtocolOfALargeFile(t *testing.T) {
	h := New(t)
	content := data(5000)
	commit := h.AddRepo(repoID, Files{model: Bytes(content), "README.md": Text("# hello")})
	b := newBrowser(t, false)

	resp, _ := b.must(http.MethodHead, h.URL()+"/"+repoID+"/resolve/main/"+model)
	require.Equal(t, http.StatusFound, resp.StatusCode)
	require.Equal(t, commit, resp.Header.Get("X-Repo-Commit"))
	require.Equal(t, `"`+digest(content)+`"`, resp.Header.Get("X-Linked-Etag"))
	require.Equal(t, "5000", resp.Header.Get("X-Linked-Size"))
	there, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "localhost", there.Hostname())

	resp, got := b.must(http.MethodGet, there.String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, content, got)
	etag := resp.Header.Get("ETag")
	require.Len(t, etag, 66)
	require.NotContains(t, etag, digest(content), "the CDN's ETag is another hash")

	resp, got = b.must(http.MethodGet, there.String(), "Range", "bytes=4000-", "If-Range", etag)
	require.Equal(t, http.StatusPartialContent, resp.StatusCode)
	require.Equal(t, "bytes 4000-4999/5000", resp.Header.Get("Content-Range"))
	require.Equal(t, content[4000:], got)
	resp, got = b.must(http.MethodGet, there.String(), "Range", "bytes=4000-", "If-Range", `"other"`)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, content, got)
	resp, _ = b.must(http.MethodGet, there.String(), "Range", "bytes=5000-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, resp.StatusCode)

	tampered := *there
	tampered.RawQuery = strings.Replace(there.RawQuery, "Signature=", "Signature=0", 1)
	resp, _ = b.must(http.MethodGet, tampered.String())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	h.Advance(linkLife + time.Minute)
	resp, _ = b.must(http.MethodGet, there.String())
	require.Equal(t, http.StatusForbidden, resp.StatusCode, "expired")

	require.Equal(t, int64(5000+1000+5000), h.Served())
	require.Equal(t, 6, h.Count(CDN, model))
	require.Equal(t, 1, h.Count(Resolve, ""))
	require.Equal(t, "bytes=4000-", h.Requests()[2].Range)
	require.Equal(t, http.StatusPartialContent, h.Requests()[2].Status)
	require.Empty(t, h.Leaked())
	b.token = "hf_secret"
	b.must(http.MethodGet, there.String())
	require.Equal(t, "hf_secret", h.Leaked())
}

func TestTheProtocolOfASmallFile(t *testing.T) {
	h := New(t)
	h.AddRepo(repoID, Files{"a b/config.json": Text("{}")})
	resp, _ := newBrowser(t, false).must(http.MethodGet, h.URL()+"/"+repoID+"/resolve/main/a%20b/config.json")
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
	require.True(t, strings.HasPrefix(resp.Header.Get("Location"), "/api/resolve-cache/"))
	require.Len(t, resp.Header.Get("X-Linked-Etag"), 42, "git's SHA-1, in quotes")
	resp, body := newBrowser(t, true).must(http.MethodGet, h.URL()+"/"+repoID+"/resolve/main/a%20b/config.json")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "{}", string(body))
	// git's own: echo -n '{}' | git hash-object --stdin
	require.Equal(t, `"9e26dfeeb6e641a33dae4961196235bdb965b21b"`, resp.Header.Get("ETag"))
}

func TestTheAPI(t *testing.T) {
	h := New(t)
	content := data(100)
	h.AddRepo(repoID, Files{model: Bytes(content), "README.md": Text("# hello")}, Licence("mit"), Popular(10, 2), Tags("llama"))
	h.AddRepo("owner/gated", Files{model: Bytes(content)}, Gated(), Popular(20, 0))
	h.AddRepo("owner/other", Files{"model.safetensors": Text("x")}, Popular(30, 0))
	h.AddRepo("owner/private", Files{model: Bytes(content)}, Private(), Popular(40, 0))
	b := newBrowser(t, false)

	var one struct {
		ID, SHA  string
		Gated    any
		CardData struct{ License string }
		Siblings []struct {
			Rfilename, BlobID string
			Size              int64
			LFS               *struct {
				SHA256            string
				Size, PointerSize int64
			}
		}
	}
	_, body := b.must(http.MethodGet, h.URL()+"/api/models/"+repoID+"/revision/main?blobs=true")
	require.NoError(t, json.Unmarshal(body, &one))
	require.Equal(t, repoID, one.ID)
	require.Equal(t, false, one.Gated)
	require.Equal(t, "mit", one.CardData.License)
	require.Len(t, one.Siblings, 2)
	require.Nil(t, one.Siblings[0].LFS)
	require.Equal(t, int64(7), one.Siblings[0].Size)
	require.Equal(t, digest(content), one.Siblings[1].LFS.SHA256)
	require.Equal(t, int64(100), one.Siblings[1].LFS.Size)
	require.Equal(t, h.SHA256(repoID, model), one.Siblings[1].LFS.SHA256)
	sha := one.SHA
	_, body = b.must(http.MethodGet, h.URL()+"/api/models/"+repoID+"/revision/"+sha[:8])
	require.NoError(t, json.Unmarshal(body, &one))
	require.Equal(t, sha, one.SHA)
	require.NotContains(t, string(body), `"size"`)

	var list []struct{ ID string }
	_, body = b.must(http.MethodGet, h.URL()+"/api/models?search=OWNER&filter=gguf&limit=5&full=true")
	require.NoError(t, json.Unmarshal(body, &list))
	require.Equal(t, []struct{ ID string }{{"owner/gated"}, {repoID}}, list)
	require.Contains(t, string(body), "rfilename")
	_, body = b.must(http.MethodGet, h.URL()+"/api/models?limit=1")
	require.NoError(t, json.Unmarshal(body, &list))
	require.Equal(t, []struct{ ID string }{{"owner/other"}}, list)
	require.NotContains(t, string(body), "rfilename")
}

func TestCommitsAndRenames(t *testing.T) {
	h := New(t)
	first := h.AddRepo(repoID, Files{model: Text("one")})
	second := h.Commit(repoID, "main", Files{model: Text("two")})
	h.CommitInGit(repoID, "refs/pr/1", Files{model: Text("three")})
	b := newBrowser(t, true)
	for rev, want := range map[string]string{"main": "two", first: "one", second: "two", "refs%2Fpr%2F1": "three"} {
		_, body := b.must(http.MethodGet, h.URL()+"/"+repoID+"/resolve/"+rev+"/"+model)
		require.Equal(t, want, string(body))
	}
	h.Rename(repoID, "new/name")
	_, body := b.must(http.MethodGet, h.URL()+"/"+repoID+"/resolve/main/"+model)
	require.Equal(t, "two", string(body))
	resp, body := b.must(http.MethodGet, h.URL()+"/api/models/"+repoID+"/revision/main?blobs=true")
	require.Equal(t, "blobs=true", resp.Request.URL.RawQuery)
	require.Contains(t, string(body), `"new/name"`)
	h.Remove("new/name")
	resp, _ = b.must(http.MethodGet, h.URL()+"/api/models/new/name")
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

func TestWhoMayReadWhat(t *testing.T) {
	h := New(t)
	h.AddRepo("a/open", Files{model: Text("x")})
	h.AddRepo("a/gated", Files{model: Text("x")}, Gated())
	h.AddRepo("a/private", Files{model: Text("x")}, Private())
	h.Accept("in", "a/gated", "a/private")
	h.Accept("out")
	b := newBrowser(t, false)
	for _, test := range []struct {
		token, repo string
		api, file   int
		code        string // of the file's answer
	}{
		{"", "a/open", 200, 302, ""},
		{"", "a/gated", 200, 401, "GatedRepo"},
		{"", "a/private", 401, 401, ""},
		{"", "a/none", 401, 401, ""},
		{"out", "a/open", 200, 302, ""},
		{"out", "a/gated", 200, 403, "GatedRepo"},
		{"out", "a/private", 404, 404, "RepoNotFound"},
		{"out", "a/none", 404, 404, "RepoNotFound"},
		{"in", "a/gated", 200, 302, ""},
		{"in", "a/private", 200, 302, ""},
		{"bad", "a/open", 401, 401, ""},
		{"bad", "a/gated", 401, 401, "GatedRepo"},
	} {
		b.token = test.token
		resp, _ := b.must(http.MethodGet, h.URL()+"/api/models/"+test.repo)
		require.Equal(t, test.api, resp.StatusCode, "%+v", test)
		resp, _ = b.must(http.MethodGet, h.URL()+"/"+test.repo+"/resolve/main/"+model)
		require.Equal(t, test.file, resp.StatusCode, "%+v", test)
		require.Equal(t, test.code, resp.Header.Get("X-Error-Code"), "%+v", test)
	}
	b.token = ""
	resp, _ := b.must(http.MethodGet, h.URL()+"/a/open/resolve/main/none.gguf")
	require.Equal(t, "EntryNotFound", resp.Header.Get("X-Error-Code"))
	resp, _ = b.must(http.MethodGet, h.URL()+"/a/open/resolve/none/"+model)
	require.Equal(t, "RevisionNotFound", resp.Header.Get("X-Error-Code"))
	for _, nowhere := range []string{"/", "/favicon.ico", "/api/models/a", "/a/open/blob/main/" + model, "/%zz"} {
		u, err := url.Parse(h.URL())
		require.NoError(t, err)
		u.Opaque = "//" + u.Host + nowhere
		req := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}
		resp, err := b.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, nowhere)
	}
}

func TestTroubles(t *testing.T) {
	content := data(100_000)
	whole := func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, content, body)
	}
	for name, test := range map[string]struct {
		at     Place
		how    Trouble
		header []string
		check  func(*testing.T, *Hub, *http.Response, []byte, error)
	}{
		"cut": {CDN, Cut(), nil, func(t *testing.T, h *Hub, _ *http.Response, body []byte, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Less(t, len(body), len(content))
			require.Equal(t, content[:len(body)], body)
			require.Equal(t, int64(len(body)), h.Served())
		}},
		"cut at": {CDN, CutAt(70_000), nil, func(t *testing.T, _ *Hub, _ *http.Response, body []byte, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, content[:70_000], body)
		}},
		"cut at the start": {CDN, CutAt(0), nil, func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Empty(t, body)
		}},
		"announces more": {CDN, Lie(10), nil, func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, int64(len(content)+10), resp.ContentLength)
			require.Equal(t, content, body)
		}},
		"announces less": {CDN, Lie(-10), nil, func(t *testing.T, _ *Hub, _ *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, content[:len(content)-10], body)
		}},
		"changed": {CDN, Changed(), []string{"Range", "bytes=10-", "If-Range", `"` + newBlob(model, Bytes(content), false).xet + `"`}, func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Len(t, body, len(content))
			require.NotEqual(t, content[0], body[0])
		}},
		"corrupt": {CDN, Corrupt(), []string{"Range", "bytes=10-", "If-Range", `"` + newBlob(model, Bytes(content), false).xet + `"`}, func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusPartialContent, resp.StatusCode)
			require.NotEqual(t, content[10:], body)
		}},
		"no ranges": {CDN, NoRanges(), []string{"Range", "bytes=10-"}, whole},
		"trickle":   {CDN, Trickle(30_000, time.Millisecond), nil, whole},
		"html": {CDN, HTML(), nil, func(t *testing.T, _ *Hub, resp *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Contains(t, string(body), "<!doctype html>")
		}},
		"endless": {Resolve, Endless(), nil, func(t *testing.T, h *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode, "it was for one request only")
			require.Equal(t, 2, h.Count(Resolve, ""))
		}},
		"expired": {CDN, Expired(), nil, func(t *testing.T, _ *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
		}},
		"rate limit": {Anywhere, RateLimit(7 * time.Second), nil, func(t *testing.T, _ *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
			require.Equal(t, "7", resp.Header.Get("Retry-After"))
		}},
		"rate limit's policy": {Resolve, RateLimitPolicy(7 * time.Second), nil, func(t *testing.T, _ *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Empty(t, resp.Header.Get("Retry-After"))
			require.Equal(t, `"api";r=0;t=7`, resp.Header.Get("RateLimit"))
		}},
		"status": {CDN, Status(http.StatusBadGateway), nil, func(t *testing.T, _ *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusBadGateway, resp.StatusCode)
		}},
		"elsewhere": {Resolve, Elsewhere("/nowhere"), nil, func(t *testing.T, _ *Hub, resp *http.Response, _ []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, "/nowhere", resp.Request.URL.Path)
		}},
		"garbage": {Resolve, Garbage("{"), nil, func(t *testing.T, _ *Hub, _ *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, "{", string(body))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := New(t)
			h.AddRepo(repoID, Files{model: Bytes(content), "other-Q8_0.gguf": Text("other")})
			h.Misbehave(test.at, "other-Q8_0.gguf", Always, Status(http.StatusTeapot))
			h.Misbehave(test.at, model, 1, test.how)
			b := newBrowser(t, true)
			address := h.URL() + "/" + repoID + "/resolve/main/" + model
			resp, body, err := b.ask(http.MethodGet, address, test.header...)
			test.check(t, h, resp, body, err)
			resp, body, err = b.ask(http.MethodGet, address)
			whole(t, h, resp, body, err)
			h.Misbehave(test.at, repoID, Always, test.how)
			h.Behave()
			resp, body, err = b.ask(http.MethodGet, address)
			whole(t, h, resp, body, err)
		})
	}
}

// Those whose connections never end by themselves.
func TestTroublesThatHang(t *testing.T) {
	for name, how := range map[string]Trouble{"stall": Stall(1000), "silent": Silent(), "trickle": Trickle(1, time.Hour), "drop": Drop()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := New(t)
			h.AddRepo(repoID, Files{model: Bytes(data(5000))})
			h.Misbehave(CDN, "", Always, how)
			b := newBrowser(t, true)
			b.client.Timeout = 100 * time.Millisecond
			_, _, err := b.ask(http.MethodGet, h.URL()+"/"+repoID+"/resolve/main/"+model)
			require.Error(t, err)
		})
	}
}

// A test that leaves while the Hub hangs must end all the same.
func TestTheEndDoesNotWait(t *testing.T) {
	b := newBrowser(t, true)
	began := time.Now()
	t.Run("left", func(t *testing.T) {
		h := New(t)
		h.AddRepo(repoID, Files{model: Generated(1, 64<<20)})
		h.Misbehave(CDN, "", 1, Stall(1000))
		for range 2 { // one hangs, the other isn't read
			resp, err := b.client.Get(h.URL() + "/" + repoID + "/resolve/main/" + model)
			require.NoError(t, err)
			defer resp.Body.Close()
		}
	})
	require.Less(t, time.Since(began), 4*time.Second)
}

func TestGeneratedContent(t *testing.T) {
	const size = 100_003
	g := Generated(1, size)
	p := make([]byte, size)
	n, err := g.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, size, n)
	require.Equal(t, "GGUF\x03\x00\x00\x00", string(p[:8]))
	require.NoError(t, iotest.TestReader(io.NewSectionReader(g, 0, size), p))
	q := make([]byte, size)
	_, err = Generated(2, size).ReadAt(q, 0)
	require.NoError(t, err)
	require.False(t, bytes.Equal(p, q))
	_, err = g.ReadAt(p, -1)
	require.Error(t, err)
	_, err = g.ReadAt(p[:10], size-5)
	require.ErrorIs(t, err, io.EOF)
}

// A file as large as a model costs time only where it's read.
func TestALargeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("its digest takes a second")
	}
	const size = 256 << 20
	h := New(t)
	h.AddRepo(repoID, Files{model: Generated(3, size)})
	resp, body := newBrowser(t, true).must(http.MethodGet, h.URL()+"/"+repoID+"/resolve/main/"+model, "Range", "bytes="+strconv.Itoa(size-10)+"-")
	require.Equal(t, http.StatusPartialContent, resp.StatusCode)
	want := make([]byte, 10)
	_, err := Generated(3, size).ReadAt(want, size-10)
	require.NoError(t, err)
	require.Equal(t, want, body)
}
