package hubtest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// seen is a request with what is known of it.
type seen struct {
	*http.Request
	log      int // its place in the log
	segments []string
	token    string
}

func (h *Hub) see(w http.ResponseWriter, r *http.Request, at Place) (*recorder, seen) {
	var segments []string
	for s := range strings.SplitSeq(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		unescaped, err := url.PathUnescape(s)
		if err != nil {
			unescaped = s
		}
		segments = append(segments, unescaped)
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s := seen{Request: r, segments: segments, token: token}
	s.log = h.note(Request{
		Place: at, Method: r.Method, Path: strings.Join(segments, "/"),
		Range: r.Header.Get("Range"), Token: token, Agent: r.UserAgent(),
	})
	return &recorder{ResponseWriter: w, h: h, log: s.log}, s
}

// recorder notes the status.
type recorder struct {
	http.ResponseWriter
	h     *Hub
	log   int
	begun bool
}

func (w *recorder) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

func (w *recorder) WriteHeader(status int) {
	w.begun = true
	w.h.update(w.log, func(r *Request) { r.Status = status })
	w.ResponseWriter.WriteHeader(status)
}

func (h *Hub) serveHub(plain http.ResponseWriter, r *http.Request) {
	at := API
	if !strings.HasPrefix(r.URL.Path, "/api/models") {
		at = Resolve
	}
	w, s := h.see(plain, r, at)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "", "Method not allowed")
		return
	}
	switch p := s.segments; {
	case len(p) == 2 && at == API:
		if !h.wrong(w, s, at, "", "") {
			h.list(w, s)
		}
	case len(p) == 4 && at == API:
		h.model(w, s, p[2]+"/"+p[3], mainBranch)
	case len(p) == 5 && at == API && p[4] == "auth-check":
		h.check(w, s, p[2]+"/"+p[3])
	case len(p) == 6 && at == API && p[4] == "revision":
		h.model(w, s, p[2]+"/"+p[3], p[5])
	case len(p) >= 5 && p[2] == "resolve":
		h.resolve(w, s, p[0]+"/"+p[1], p[3], strings.Join(p[4:], "/"))
	case len(p) >= 7 && p[0] == "api" && p[1] == "resolve-cache":
		h.cached(w, s, p[3]+"/"+p[4], p[5], strings.Join(p[6:], "/"))
	default:
		refuse(w, http.StatusNotFound, "", "Sorry, we can't find the page you are looking for.")
	}
}

// wrong answers a request that is to go wrong.
func (h *Hub) wrong(w http.ResponseWriter, s seen, at Place, repo, path string) bool {
	h.update(s.log, func(r *Request) { r.Repo = repo })
	t := h.trouble(at, repo, path, false)
	if t == nil {
		return false
	}
	t.instead(h, w, s.Request)
	return true
}

// refusal is an answer that says no, or where else to ask.
type refusal struct {
	status              int
	code, message, goTo string
}

// open finds a repository at a revision, or answers why not.
func (h *Hub) open(w http.ResponseWriter, s seen, id, rev string, files bool) (r *repo, commit string, blobs []*blob, ok bool) {
	h.mu.Lock()
	no := h.refusal(s, id, files)
	if r = h.repos[id]; no == nil {
		if commit = r.resolve(rev); commit == "" {
			no = &refusal{status: http.StatusNotFound, code: "RevisionNotFound", message: "Invalid rev id: " + rev}
		} else {
			blobs = r.commits[commit]
		}
	}
	h.mu.Unlock()
	switch {
	case no == nil:
		return r, commit, blobs, true
	case no.goTo != "":
		w.Header().Set("Location", no.goTo)
		w.WriteHeader(no.status)
	default:
		refuse(w, no.status, no.code, no.message)
	}
	return nil, "", nil, false
}

// refusal decides who may read what; nil is yes. The lock is held.
func (h *Hub) refusal(s seen, id string, files bool) *refusal {
	if to, moved := h.moved[id]; moved {
		there := strings.Replace(s.URL.EscapedPath(), id, to, 1)
		if s.URL.RawQuery != "" {
			there += "?" + s.URL.RawQuery
		}
		return &refusal{status: http.StatusTemporaryRedirect, goTo: there}
	}
	r := h.repos[id]
	allowed, known := h.tokens[s.token]
	in := slices.Contains(allowed, id)
	hidden := r == nil || r.private && !in
	switch {
	case r != nil && r.gated && files && !known:
		return &refusal{http.StatusUnauthorized, "GatedRepo", fmt.Sprintf("Access to model %s is restricted. You must have access to it and be authenticated to access it. Please log in.", id), ""}
	case s.token != "" && !known:
		return &refusal{http.StatusUnauthorized, "", "Invalid credentials in Authorization header", ""}
	case hidden && s.token == "":
		return &refusal{http.StatusUnauthorized, "", "Invalid username or password.", ""}
	case hidden:
		return &refusal{http.StatusNotFound, "RepoNotFound", "Repository not found", ""}
	case r.gated && files && !in:
		return &refusal{http.StatusForbidden, "GatedRepo", fmt.Sprintf("Access to model %s is restricted and you are not in the authorized list. Visit https://huggingface.co/%s to ask for access.", id, id), ""}
	}
	return nil
}

// resolve turns a branch, a commit or the beginning of one into a commit.
func (r *repo) resolve(rev string) string {
	if commit, ok := r.branches[rev]; ok {
		return commit
	}
	const shortest = 7
	for commit := range r.commits {
		if len(rev) >= shortest && strings.HasPrefix(commit, rev) {
			return commit
		}
	}
	return ""
}

func (h *Hub) list(w http.ResponseWriter, s seen) {
	q := s.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = 30
	}
	h.mu.Lock()
	allowed, known := h.tokens[s.token]
	var found []*repo
	for _, r := range h.repos {
		if matches(r, q) && (!r.private || slices.Contains(allowed, r.id)) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *repo) int {
		return cmp.Or(cmp.Compare(b.downloads, a.downloads), cmp.Compare(a.id, b.id))
	})
	answer := []map[string]any{}
	for _, r := range found[:min(limit, len(found))] {
		answer = append(answer, r.json(r.branches[mainBranch], q.Get("full") == "true", false))
	}
	h.mu.Unlock()
	if s.token != "" && !known {
		refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func matches(r *repo, q url.Values) bool {
	gguf := slices.ContainsFunc(r.commits[r.branches[mainBranch]], func(b *blob) bool {
		return strings.HasSuffix(strings.ToLower(b.path), ".gguf")
	})
	return (gguf || q.Get("filter") != "gguf") &&
		strings.Contains(strings.ToLower(r.id), strings.ToLower(q.Get("search")))
}

func (h *Hub) model(w http.ResponseWriter, s seen, id, rev string) {
	if h.wrong(w, s, API, id, "") {
		return
	}
	r, commit, _, ok := h.open(w, s, id, rev, false)
	if !ok {
		return
	}
	h.mu.Lock()
	answer := r.json(commit, true, s.URL.Query().Get("blobs") == "true")
	h.mu.Unlock()
	writeJSON(w, http.StatusOK, answer)
}

// check says whether files may be fetched.
func (h *Hub) check(w http.ResponseWriter, s seen, id string) {
	if h.wrong(w, s, API, id, "") {
		return
	}
	if _, _, _, ok := h.open(w, s, id, mainBranch, true); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, "OK")
	}
}

// json is the API's answer about a repository, with the fields of the real one.
func (r *repo) json(commit string, full, blobs bool) map[string]any {
	owner, _, _ := strings.Cut(r.id, "/")
	tags := append([]string{"gguf"}, r.tags...)
	tags = append(tags, "license:"+r.licence, "region:us")
	answer := map[string]any{
		"_id": "680fb1c6c824b5a0d1c5d9b6", "id": r.id, "modelId": r.id, "author": owner,
		"private": r.private, "gated": any(false), "disabled": false,
		"downloads": r.downloads, "likes": r.likes, "tags": tags, "pipeline_tag": "text-generation",
		"createdAt": "2025-04-28T16:50:14.000Z",
	}
	if r.gated {
		answer["gated"] = "manual"
	}
	if !full {
		return answer
	}
	answer["sha"], answer["lastModified"] = commit, "2025-04-28T17:18:17.000Z"
	answer["cardData"] = map[string]any{"license": r.licence, "pipeline_tag": "text-generation"}
	siblings := []map[string]any{}
	for _, b := range r.commits[commit] {
		siblings = append(siblings, b.json(blobs))
	}
	answer["siblings"] = siblings
	return answer
}

func (b *blob) json(sizes bool) map[string]any {
	answer := map[string]any{"rfilename": b.path}
	if sizes {
		answer["blobId"], answer["size"] = b.git, b.content.Size()
		if b.lfs {
			answer["lfs"] = map[string]any{"sha256": b.sha256, "size": b.content.Size(), "pointerSize": b.pointer}
		}
	}
	return answer
}

// resolve redirects to a file: with its digest, size and commit, which the CDN doesn't
// know.
func (h *Hub) resolve(w http.ResponseWriter, s seen, id, rev, path string) {
	if h.wrong(w, s, Resolve, id, path) {
		return
	}
	r, commit, blobs, ok := h.open(w, s, id, rev, true)
	if !ok {
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	b := find(blobs, path)
	if b == nil {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("X-Linked-Size", strconv.FormatInt(b.content.Size(), 10))
	escaped := escape(path)
	if !b.lfs {
		w.Header().Set("ETag", quoted(b.git))
		w.Header().Set("X-Linked-Etag", quoted(b.git))
		w.Header().Set("Location", fmt.Sprintf("/api/resolve-cache/models/%s/%s/%s", r.id, commit, escaped))
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("ETag", quoted(b.sha256))
	w.Header().Set("X-Linked-Etag", quoted(b.sha256))
	w.Header().Set("X-Xet-Hash", b.xet)
	there := "/xet-bridge-us/" + r.id + "/" + commit + "/" + escaped
	expires := strconv.FormatInt(h.now().Add(linkLife).Unix(), 10)
	query := url.Values{"X-Xet-Cas-Uid": {"public"}, "Expires": {expires}, "Signature": {h.signature(there, expires)}, "Key-Pair-Id": {"K2L8F4GPSG1IFC"}}
	w.Header().Set("Location", h.CDNURL()+there+"?"+query.Encode())
	w.WriteHeader(http.StatusFound)
}

// cached serves a file that is in git, from the Hub itself.
func (h *Hub) cached(w *recorder, s seen, id, commit, path string) {
	if h.wrong(w, s, Resolve, id, path) {
		return
	}
	_, _, blobs, ok := h.open(w, s, id, commit, true)
	if !ok {
		return
	}
	if b := find(blobs, path); b != nil {
		w.Header().Set("X-Repo-Commit", commit)
		h.send(w, s, Resolve, id, b, quoted(b.git))
		return
	}
	refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
}

func (h *Hub) serveCDN(plain http.ResponseWriter, r *http.Request) {
	w, s := h.see(plain, r, CDN)
	p := s.segments
	if len(p) < 5 || p[0] != "xet-bridge-us" {
		denied(w)
		return
	}
	id, commit, path := p[1]+"/"+p[2], p[3], strings.Join(p[4:], "/")
	h.update(s.log, func(r *Request) { r.Path = path })
	if h.wrong(w, s, CDN, id, path) {
		return
	}
	q := r.URL.Query()
	expires, err := strconv.ParseInt(q.Get("Expires"), 10, 64)
	signed := hmac.Equal([]byte(q.Get("Signature")), []byte(h.signature(r.URL.EscapedPath(), q.Get("Expires"))))
	if err != nil || !signed || expires < h.now().Unix() {
		denied(w)
		return
	}
	if b := h.stored(id, commit, path); b != nil {
		h.send(w, s, CDN, id, b, quoted(b.xet))
		return
	}
	denied(w)
}

// stored finds a file wherever its repository is now: storage knows only content.
func (h *Hub) stored(id, commit, path string) *blob {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to, moved := h.moved[id]; moved {
		id = to
	}
	if r := h.repos[id]; r != nil {
		return find(r.commits[commit], path)
	}
	return nil
}

func (h *Hub) signature(path, expires string) string {
	sum := hmac.New(sha256.New, h.secret)
	fmt.Fprintf(sum, "%s\n%s", path, expires)
	return hex.EncodeToString(sum.Sum(nil))
}

func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

func quoted(s string) string { return `"` + s + `"` }

// refuse answers as the Hub does: the reason is in two headers and the body.
func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	writeJSON(w, status, map[string]string{"error": message})
}

// denied answers as storage does.
func denied(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>`)
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone is no concern of ours
}
