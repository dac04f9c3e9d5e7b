package hubtest

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	mainBranch = "main"
	linkLife   = time.Hour // of a signed address
)

// A Hub is the fake. Its methods may be called at any time, while it serves.
type Hub struct {
	hub, cdn *httptest.Server
	done     chan struct{} // closed at the end: whatever stalls stops
	secret   []byte        // signs addresses

	mu       sync.Mutex
	repos    map[string]*repo
	moved    map[string]string   // old ids to new ones
	tokens   map[string][]string // accounts, with the gated and private repositories they may read
	troubles []*trouble
	log      []Request
	later    time.Duration // how far the clock is ahead
	random   *mathrand.Rand
}

// repo is a repository with all its commits.
type repo struct {
	id               string
	gated, private   bool
	licence          string
	downloads, likes int
	tags             []string
	branches         map[string]string // to commits
	commits          map[string][]*blob
}

// New starts a Hub, which ends with the test. Its randomness is the test's name's.
func New(t testing.TB) *Hub {
	t.Helper()
	seed := sha1.Sum([]byte(t.Name()))
	h := &Hub{
		done: make(chan struct{}), secret: make([]byte, 32),
		repos: map[string]*repo{}, moved: map[string]string{}, tokens: map[string][]string{},
		random: mathrand.New(mathrand.NewPCG(uint64(seed[0])<<8|uint64(seed[1]), uint64(seed[2]))),
	}
	_, _ = rand.Read(h.secret)
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(func() {
		close(h.done)
		for _, s := range []*httptest.Server{h.hub, h.cdn} {
			s.CloseClientConnections() // some wait for clients that don't read
			s.Close()
		}
	})
	return h
}

// URL is the Hub's address, an endpoint for clients.
func (h *Hub) URL() string { return h.hub.URL }

// CDNURL is the storage's address, of another host name.
func (h *Hub) CDNURL() string {
	_, port, _ := net.SplitHostPort(h.cdn.Listener.Addr().String())
	return "http://localhost:" + port
}

// A RepoOption is a property of a repository.
type RepoOption func(*repo)

// Gated makes accounts accept a licence first, which Accept does.
func Gated() RepoOption { return func(r *repo) { r.gated = true } }

// Private hides the repository from all but accounts that Accept has let in.
func Private() RepoOption { return func(r *repo) { r.private = true } }

// Licence is what the model's card says, apache-2.0 otherwise.
func Licence(name string) RepoOption { return func(r *repo) { r.licence = name } }

// Popular sets the counts of downloads and likes. Lists are ordered by the former.
func Popular(downloads, likes int) RepoOption {
	return func(r *repo) { r.downloads, r.likes = downloads, likes }
}

// Tags adds to those that the Hub makes itself.
func Tags(tags ...string) RepoOption { return func(r *repo) { r.tags = append(r.tags, tags...) } }

// AddRepo adds a repository and returns the commit of its main branch. All files with
// names as of models, and all large ones, are in LFS.
func (h *Hub) AddRepo(id string, files Files, options ...RepoOption) string {
	r := &repo{id: id, licence: "apache-2.0", branches: map[string]string{}, commits: map[string][]*blob{}}
	for _, o := range options {
		o(r)
	}
	blobs := blobsOf(files, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos[id] = r
	return r.commit(mainBranch, blobs)
}

// Commit sets the files of a branch, all of them, and returns the commit. Those of before
// stay where they are.
func (h *Hub) Commit(id, branch string, files Files) string {
	return h.commit(id, branch, blobsOf(files, false))
}

// CommitInGit does the same, but stores the files in git, whatever their names: the Hub
// knows no SHA-256 of them, and serves them itself.
func (h *Hub) CommitInGit(id, branch string, files Files) string {
	return h.commit(id, branch, blobsOf(files, true))
}

func (h *Hub) commit(id, branch string, blobs []*blob) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.repos[id].commit(branch, blobs)
}

func blobsOf(files Files, inGit bool) []*blob {
	var blobs []*blob
	for _, path := range slices.Sorted(maps.Keys(files)) { // the Hub's order
		blobs = append(blobs, newBlob(path, files[path], inGit))
	}
	return blobs
}

func (r *repo) commit(branch string, blobs []*blob) string {
	sum := sha1.New()
	fmt.Fprintf(sum, "%s %s %d\n", r.id, branch, len(r.commits))
	for _, b := range blobs {
		fmt.Fprintf(sum, "%s %s\n", b.git, b.path)
	}
	commit := hex.EncodeToString(sum.Sum(nil))
	r.branches[branch], r.commits[commit] = commit, blobs
	return commit
}

// Rename gives a repository another id. The old one redirects to it.
func (h *Hub) Rename(from, to string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repos[from]
	delete(h.repos, from)
	r.id, h.repos[to], h.moved[from] = to, r, to
}

// Remove deletes a repository.
func (h *Hub) Remove(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.repos, id)
}

// Accept makes a token an account's that may read these gated and private repositories;
// without any it's an account that has accepted nothing. Other tokens are refused.
func (h *Hub) Accept(token string, ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[token] = append(h.tokens[token], ids...)
}

// Advance moves the Hub's clock. Addresses that it has signed expire after an hour.
func (h *Hub) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later += d
}

func (h *Hub) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.later)
}

// SHA256 is the digest of a file on the main branch, in hex, also if the Hub doesn't tell.
func (h *Hub) SHA256(id, path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repos[id]
	if b := find(r.commits[r.branches[mainBranch]], path); b != nil {
		return b.sha256
	}
	return ""
}

func find(blobs []*blob, path string) *blob {
	if i := slices.IndexFunc(blobs, func(b *blob) bool { return b.path == path }); i >= 0 {
		return blobs[i]
	}
	return nil
}

// A Request is one that a server has answered, or is answering.
type Request struct {
	Place  Place
	Method string
	Path   string // unescaped; of the CDN the file's in its repository
	Repo   string // "" for lists
	Range  string // the header
	Token  string // that came with it
	Agent  string // the User-Agent
	Status int
	Bytes  int64 // of a file's content that were sent
}

// Requests returns all requests so far, in the order in which they came.
func (h *Hub) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.log)
}

// Count counts requests to these places that were about the path, or any with "".
func (h *Hub) Count(at Place, path string) int {
	n := 0
	for _, r := range h.Requests() {
		if r.Place&at != 0 && (path == "" || strings.HasSuffix(r.Path, path)) {
			n++
		}
	}
	return n
}

// Served sums the bytes of files' content that were sent.
func (h *Hub) Served() int64 {
	var n int64
	for _, r := range h.Requests() {
		n += r.Bytes
	}
	return n
}

// Leaked returns the token that came to the CDN, where none must; "" if none did.
func (h *Hub) Leaked() string {
	for _, r := range h.Requests() {
		if r.Place == CDN && r.Token != "" {
			return r.Token
		}
	}
	return ""
}

// note begins the record of a request and returns its place in the log.
func (h *Hub) note(r Request) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, r)
	return len(h.log) - 1
}

func (h *Hub) update(i int, change func(*Request)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.log[i])
}

// upTo returns a random number of bytes, fewer than n.
func (h *Hub) upTo(n int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.Int64N(max(n, 1))
}
