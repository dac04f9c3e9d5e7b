package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noise is n bytes that depend on a seed.
func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

type hook func(n int, w http.ResponseWriter, r *http.Request) bool

// A site serves one file, and misbehaves as its hooks say.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	data []byte
	etag string
	// noRanges: all of the file is sent, whatever was asked for.
	noRanges bool
	// before may answer in the site's place, and says whether it did. n counts requests
	// from 1.
	before hook
	// cut says after how many bytes of an answer the connection breaks; -1 for never.
	cut func(n int, from, to int64) int64

	requests atomic.Int64
	served   atomic.Int64 // bytes of bodies
	tokens   atomic.Int64 // requests that had one
}

func serve(t *testing.T, data []byte) *site {
	t.Helper()
	s := &site{data: data, etag: `"one"`}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// change replaces the file.
func (s *site) change(data []byte, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data, s.etag = data, etag
}

// do sets before while requests may be under way, and returns what it was.
func (s *site) do(before hook) hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.before
	s.before = before
	return was
}

// cutAt sets cut likewise.
func (s *site) cutAt(cut func(n int, from, to int64) int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

func (s *site) now() ([]byte, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data, s.etag
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.requests.Add(1))
	if r.Header.Get("Authorization") != "" {
		s.tokens.Add(1)
	}
	s.mu.Lock()
	before, cut := s.before, s.cut
	s.mu.Unlock()
	if before != nil && before(n, w, r) {
		return
	}
	data, etag := s.now()
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	var from, to int64 = 0, int64(len(data))
	status := http.StatusOK
	asked := r.Header.Get("Range")
	if condition := r.Header.Get("If-Range"); condition != "" && condition != etag {
		asked = ""
	}
	if asked != "" && !s.noRanges {
		var last int64
		switch got, _ := fmt.Sscanf(asked, "bytes=%d-%d", &from, &last); got {
		case 1:
		case 2:
			to = min(to, last+1)
		default:
			http.Error(w, "bad range", http.StatusBadRequest)
			return
		}
		if from >= int64(len(data)) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(data)))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(data)))
	}
	if w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(to-from))
	}
	w.WriteHeader(status)
	end := to
	if cut != nil {
		if k := cut(n, from, to); k >= 0 {
			end = min(end, from+k)
		}
	}
	for from < end {
		k, err := w.Write(data[from:min(end, from+64<<10)])
		s.served.Add(int64(k))
		from += int64(k)
		if err != nil {
			return
		}
	}
	if end < to {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// quick are options under which tests don't wait.
func quick(parts string) Options {
	return Options{
		Parts: parts, FirstPause: time.Millisecond, LongestPause: 5 * time.Millisecond, LongestWait: 20 * time.Millisecond,
		Stall: 10 * time.Second, Every: 5 * time.Millisecond, least: 64 << 10, most: 512 << 10, unsynced: 2 << 20,
	}
}

// A bench is a folder to download into.
type bench struct {
	*Downloader
	t     *testing.T
	file  File
	count atomic.Int64 // bytes that the client received
}

func newBench(t *testing.T, s *site, o Options) *bench {
	t.Helper()
	dir := t.TempDir()
	o.Parts = filepath.Join(dir, "parts")
	b := &bench{t: t, file: File{URL: s.URL + "/model.gguf?secret=1", Path: filepath.Join(dir, "models", "model.gguf")}}
	inner := transport(o.withDefaults())
	t.Cleanup(inner.CloseIdleConnections)
	o.Client = &http.Client{Transport: &countingTransport{inner: inner, count: &b.count}}
	b.Downloader = New(o)
	return b
}

func (b *bench) fetch() (string, error) {
	return b.Fetch(context.Background(), b.file, nil)
}

// has requires that the file is there and right, and nothing else.
func (b *bench) has(want []byte) {
	b.t.Helper()
	got, err := os.ReadFile(b.file.Path)
	require.NoError(b.t, err)
	require.True(b.t, string(want) == string(got), "the file is wrong")
	b.leftNothing()
}

func (b *bench) leftNothing() {
	b.t.Helper()
	entries, err := os.ReadDir(b.o.Parts)
	require.NoError(b.t, unless(err, os.ErrNotExist))
	require.Empty(b.t, entries)
}

// failed requires an error of a kind, that the file is not there, and that no secret is
// told.
func (b *bench) failed(err error, kind Kind) *Error {
	b.t.Helper()
	var e *Error
	require.ErrorAs(b.t, err, &e)
	require.Equal(b.t, kind, e.Kind, "%v (%v)", e, e.Err)
	require.NotEmpty(b.t, e.Message)
	require.NotEmpty(b.t, e.Hint)
	require.NotContains(b.t, fmt.Sprint(e, e.Err), "secret")
	require.NoFileExists(b.t, b.file.Path)
	return e
}

// partial is what there is of the file.
func (b *bench) partial() Partial {
	b.t.Helper()
	list, err := b.Partials()
	require.NoError(b.t, err)
	require.Len(b.t, list, 1)
	require.NotContains(b.t, list[0].URL, "secret")
	return list[0]
}
