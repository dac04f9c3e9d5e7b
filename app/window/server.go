package window

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"samovar/app/instance"
)

const (
	indexName = "index.html"
	// liveWithin is how long a server on this machine may take to say that it is live.
	liveWithin = time.Second
	// mostAsked is the longest body that the page sends to its window.
	mostAsked = 1 << 20
)

// Server serves the page to its window, and answers what the page asks of the window
// rather than of the API.
type Server struct {
	// Files are the page's.
	Files fs.FS
	// Record is the file that says where the API is.
	Record string
	// Otherwise is where the API is thought to be while there is no record.
	Otherwise string
	// Page is the one that a window without a place in its address begins at.
	Page func() string
	// Start starts a Samovar and returns once it is live.
	Start func(context.Context) error
	// Browse opens an address in the browser, Copy fills the clipboard.
	Browse, Copy func(string) error
	// Downloads is the folder for files that the page saves.
	Downloads string
	// Alive hears that the page lives.
	Alive func(Sign)
	Log   *slog.Logger
}

// Sign is what a page that lives says of itself.
type Sign struct {
	// Page is the one shown, Title its title.
	Page  string `json:"page"`
	Title string `json:"title"`
	// Server is its connection to the API: connecting, live or lost.
	Server string `json:"server"`
	// Dark says that it is drawn in dark colours.
	Dark bool `json:"dark"`
}

// Middleware wraps the handler that serves the page's files.
func (s *Server) Middleware(files http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /"+indexName, s.index)
	mux.HandleFunc("GET /window/instance", s.instance)
	mux.HandleFunc("POST /window/start", asked(s.start))
	mux.HandleFunc("POST /window/open", asked(s.open))
	mux.HandleFunc("POST /window/copy", asked(s.copy))
	mux.HandleFunc("POST /window/save", asked(s.save))
	mux.HandleFunc("POST /window/alive", asked(s.alive))
	mux.Handle("/", files)
	return mux
}

// where is what the page must know to reach the API.
type where struct {
	Base  string `json:"base"`
	Token string `json:"token"`
	Live  bool   `json:"live"`
}

// where reads the record, which may be that of a process that is gone.
func (s *Server) where() where {
	r, err := instance.Read(s.Record)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Log.Warn("it is unknown where Samovar listens", "err", err)
		}
		return where{Base: s.Otherwise}
	}
	return where{Base: Base(r.Addr), Token: r.Token}
}

// Base is the address by which a server that listens on a host and port is reached from
// this machine.
func Base(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// meta finds an empty place of index.html that the window fills in.
func meta(name string) *regexp.Regexp {
	return regexp.MustCompile(`(<meta name="samovar-` + name + `" content=")("\s*/?>)`)
}

var baseMeta, tokenMeta, windowMeta = meta("base"), meta("token"), meta("window")

// index serves the page, told where the API is. It may load its own files and ask that
// API and its window, and nothing else.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	page, err := fs.ReadFile(s.Files, indexName)
	if err != nil {
		http.Error(w, "This build has no dashboard.", http.StatusNotFound)
		return
	}
	at := s.where()
	for place, value := range map[*regexp.Regexp]string{baseMeta: at.Base, tokenMeta: at.Token, windowMeta: s.Page()} {
		if !place.Match(page) {
			s.Log.Error("the dashboard cannot be told where Samovar is", "wanted", place.String())
		}
		// Not as a template: a value may have a $ in it.
		page = place.ReplaceAllFunc(page, func(m []byte) []byte {
			begin, end, _ := strings.Cut(string(m), `content=""`)
			return []byte(begin + `content="` + html.EscapeString(value) + `"` + end)
		})
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(at.Base))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(page)
}

// policy is the page's: server/page.go's, and the API's address.
func policy(base string) string {
	connect := "'self'"
	if u, err := url.Parse(base); err == nil && u.Host != "" && !strings.ContainsAny(u.Host, " ;,'\"") {
		connect += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src " +
		connect + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	at := s.where()
	at.Live = live(r.Context(), at.Base)
	answer(w, at)
}

// live asks a server whether it is there.
func live(ctx context.Context, base string) bool {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health/live", nil)
	if err != nil {
		return false
	}
	got, err := client.Do(r)
	if err != nil {
		return false
	}
	defer got.Body.Close()
	return got.StatusCode == http.StatusOK
}

// client reaches this machine's server: through no proxy, and keeping nothing open.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// refusal is an error of the page's making, with what to tell its reader.
type refusal string

// Error returns what to tell.
func (r refusal) Error() string { return string(r) }

// asked wraps what answers a question in JSON with an answer in JSON.
func asked[Q, A any](reply func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		// An empty body is a question without particulars.
		if err := json.NewDecoder(io.LimitReader(r.Body, mostAsked)).Decode(&q); err != nil && !errors.Is(err, io.EOF) {
			fail(w, http.StatusBadRequest, fmt.Errorf("the page asks something wrong: %w", err))
			return
		}
		a, err := reply(r.Context(), q)
		var bad refusal
		switch {
		case errors.As(err, &bad):
			fail(w, http.StatusBadRequest, err)
		case err != nil:
			fail(w, http.StatusInternalServerError, err)
		default:
			answer(w, a)
		}
	}
}

func answer(w http.ResponseWriter, a any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a) // the page is gone, then
}

// fail answers as the API does, so that the page has one way to read errors.
func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": err.Error()}})
}
