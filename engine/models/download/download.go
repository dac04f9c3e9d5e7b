package download

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"samovar/engine/internal/vfs"
)

// File says what to download, and to where.
type File struct {
	URL string
	// Token, if set, is sent as a Bearer token, to the URL's own host only: never to a
	// host that a redirect leads to.
	Token string
	// Path is where the file shall be, absolute. Its folder is made.
	Path string
	// Size is in bytes; 0 if it isn't known.
	Size int64
	// SHA256 is in hex; "" if it isn't known, and then the server's is taken if it tells
	// one.
	SHA256 string
}

// Progress is how far a download is.
type Progress struct {
	// Done bytes of Total have come, or been verified if Verifying; Total is 0 while it
	// isn't known.
	Done, Total int64
	// BytesPerSecond is the mean over the last seconds, ETA how long the rest takes at
	// that speed; both are 0 while nobody knows.
	BytesPerSecond float64
	ETA            time.Duration
	Verifying      bool
}

// Options are a Downloader's. What is left out is usual.
type Options struct {
	// Parts is the folder for partials. It is on the same file system as the files'
	// paths, and no other program's.
	Parts string
	// Connections is how many fetch one file, 4.
	Connections int
	// BytesPerSecond bounds the speed of all downloads together; 0 doesn't.
	BytesPerSecond int64
	// Client makes the requests; nil is one that takes proxies from the environment. Its
	// redirect policy and its timeout are not used.
	Client *http.Client

	// Stall is how long nothing may come over a connection before it's given up, 30 s.
	Stall time.Duration
	// Tries is how many tries in a row may bring nothing, 10. Between them are pauses,
	// which double from FirstPause, 0.5 s, to LongestPause, 30 s, or which the server
	// asks for, up to LongestWait, 2 min.
	Tries                                 int
	FirstPause, LongestPause, LongestWait time.Duration
	// Every is how often progress is reported, and other processes are looked at, 0.2 s.
	Every time.Duration

	// For tests: the system's, the bytes of a range, and those between syncs.
	now         func() time.Time
	free        func(dir string) (int64, error)
	writeAt     func(f *os.File, p []byte, at int64) (int, error)
	least, most int64
	unsynced    int64
}

func (o Options) withDefaults() Options {
	o.Connections = cmp.Or(o.Connections, 4)
	o.Stall = cmp.Or(o.Stall, 30*time.Second)
	o.Tries = cmp.Or(o.Tries, 10)
	o.FirstPause = cmp.Or(o.FirstPause, 500*time.Millisecond)
	o.LongestPause = cmp.Or(o.LongestPause, 30*time.Second)
	o.LongestWait = cmp.Or(o.LongestWait, 2*time.Minute)
	o.Every = cmp.Or(o.Every, 200*time.Millisecond)
	// A range costs a round trip, so it isn't small; the hasher follows behind as many
	// as there are connections, so it isn't large.
	o.least, o.most = cmp.Or(o.least, 4<<20), cmp.Or(o.most, 64<<20)
	o.unsynced = cmp.Or(o.unsynced, usualUnsynced)
	if o.now == nil {
		o.now = time.Now
	}
	if o.free == nil {
		o.free = vfs.OS{}.Free
	}
	if o.writeAt == nil {
		o.writeAt = (*os.File).WriteAt
	}
	return o
}

// A Downloader downloads files. It is safe for concurrent use, and needs no closing.
type Downloader struct {
	o      Options
	client *http.Client
	own    bool // the client is
	limit  *limiter

	mu   sync.Mutex
	jobs map[string]*job // by path
}

// New returns a Downloader. It does nothing before it's asked to.
func New(o Options) *Downloader {
	o = o.withDefaults()
	d := &Downloader{o: o, own: o.Client == nil, limit: newLimiter(o.BytesPerSecond), jobs: map[string]*job{}}
	client := http.Client{Transport: transport(o)}
	if o.Client != nil {
		client = *o.Client
	}
	client.Timeout = 0 // a file takes what it takes; Stall bounds each wait
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	d.client = &client
	return d
}

// transport is HTTP/1.1 only: HTTP/2 would put all ranges on one connection, which is
// as fast as one.
func transport(o Options) *http.Transport {
	only := &http.Protocols{}
	only.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: o.Stall, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: o.Stall,
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConnsPerHost: o.Connections,
		ReadBufferSize:      32 << 10,
		DisableCompression:  true,
		Protocols:           only,
	}
}

// check returns the file with its fields in one form, or says why it can't be asked for.
func (f File) check() (File, *url.URL, error) {
	invalid := func(message, hint string) (File, *url.URL, error) {
		return f, nil, &Error{Kind: Invalid, Message: message, Hint: hint}
	}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(f.URL) > 2000:
		return invalid("The file's address is not one of HTTP.", "Give one that begins with https:// or http://.")
	case !filepath.IsAbs(f.Path) || len(f.Path) > 4000:
		return invalid("The place for the file is no absolute path.", "Give the whole path.")
	case f.Size < 0:
		return invalid("The file's size is negative.", "Give its bytes, or 0 if they aren't known.")
	case f.SHA256 != "" && !sha256Hex.MatchString(f.SHA256):
		return invalid("The file's SHA-256 is not 64 hex digits.", "Give all of it, or none.")
	}
	f.Path, f.SHA256 = filepath.Clean(f.Path), strings.ToLower(f.SHA256)
	return f, u, nil
}

// Fetch downloads a file, and returns the digest (hex) of what is at its path then.
// Nothing is fetched if it's there already and its digest is known.
//
// While one for the same path runs, in this process or another one, a second one joins
// it: the bytes are fetched once, and all get progress and the result. When ctx ends,
// Fetch returns its cause; with the last caller the download stops, and what has come
// stays for the next time. Other errors are an *Error.
//
// report may be nil. It's called from Fetch's own goroutine, with the latest.
func (d *Downloader) Fetch(ctx context.Context, f File, report func(Progress)) (sha256 string, err error) {
	f, origin, err := f.check()
	if err != nil {
		return "", err
	}
	if report == nil {
		report = func(Progress) {}
	}
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		j, joined := d.join(ctx, f, origin)
		if joined {
			return d.follow(ctx, j, report)
		}
		// One that is ending, or of another file for the same path: wait for its end.
		select {
		case <-j.done:
		case <-ctx.Done():
		}
	}
}

// join returns the download that runs for a path, which is started if need be, and
// whether it's f's and counts one caller more.
func (d *Downloader) join(ctx context.Context, f File, origin *url.URL) (j *job, joined bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[f.Path]; j != nil {
		if j.callers == 0 || !j.file.likely(f) {
			return j, false
		}
		j.callers++
		return j, true
	}
	// It lives as long as any caller waits for it, not as long as the first one.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	j = &job{
		o: &d.o, client: d.client, limit: d.limit, file: f, origin: origin,
		names: filesOf(d.o.Parts, f.Path), callers: 1, stop: stop, done: make(chan struct{}),
	}
	d.jobs[f.Path] = j
	go func() {
		j.digest, j.err = j.run(ctx)
		stop()
		d.mu.Lock()
		delete(d.jobs, f.Path)
		idle := len(d.jobs) == 0
		d.mu.Unlock()
		if idle && d.own {
			d.client.CloseIdleConnections()
		}
		close(j.done)
	}()
	return j, true
}

// likely says whether two files for the same path are the same.
func (f File) likely(other File) bool {
	return f.SHA256 == other.SHA256 && f.Size == other.Size && public(f.URL) == public(other.URL)
}

// follow reports a download's progress until it ends, or the caller leaves it.
func (d *Downloader) follow(ctx context.Context, j *job, report func(Progress)) (string, error) {
	tick := time.NewTicker(d.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-j.done:
			if j.err == nil {
				report(j.progress())
			}
			return j.digest, j.err
		case <-tick.C:
			report(j.progress())
		case <-ctx.Done():
			d.mu.Lock()
			j.callers--
			last := j.callers == 0
			d.mu.Unlock()
			if !last {
				return "", context.Cause(ctx)
			}
			j.stop()
			<-j.done
			if j.err == nil { // it was faster
				return j.digest, nil
			}
			return "", context.Cause(ctx)
		}
	}
}
