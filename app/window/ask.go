package window

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// nothing is a question without particulars, or an answer that says: done.
type nothing struct{}

func (s *Server) start(ctx context.Context, _ nothing) (where, error) {
	if err := s.Start(ctx); err != nil {
		return where{}, err
	}
	at := s.where()
	at.Live = live(ctx, at.Base)
	return at, nil
}

func (s *Server) alive(_ context.Context, sign Sign) (nothing, error) {
	if !ValidPage(sign.Page) {
		sign.Page = ""
	}
	s.Alive(sign)
	return nothing{}, nil
}

// open shows an address of the web in the browser.
func (s *Server) open(_ context.Context, q struct {
	URL string `json:"url"`
}) (nothing, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nothing{}, refusal("Only addresses of the web are opened in the browser.")
	}
	return nothing{}, s.Browse(u.String())
}

func (s *Server) copy(_ context.Context, q struct {
	Text string `json:"text"`
}) (nothing, error) {
	return nothing{}, s.Copy(q.Text)
}

// exported is what the page may save: an agent's file.
var exported = regexp.MustCompile(`^/v1/agents/([^/?#]+)/export$`)

// saved says where a file went.
type saved struct {
	File string `json:"file"`
}

// save fetches a file of the API's into the downloads folder: a webview has no downloads
// of its own on every system, and nowhere to show them.
func (s *Server) save(ctx context.Context, q struct {
	Path string `json:"path"`
}) (_ saved, err error) {
	m := exported.FindStringSubmatch(q.Path)
	if m == nil {
		return saved{}, refusal("Only agents are saved as files.")
	}
	id, err := url.PathUnescape(m[1])
	if err != nil {
		return saved{}, refusal("Only agents are saved as files.")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.where().Base+q.Path, nil)
	if err != nil {
		return saved{}, err
	}
	got, err := client.Do(r)
	if err != nil {
		return saved{}, fmt.Errorf("the server cannot be reached: %w", err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return saved{}, refused(got)
	}
	if err := os.MkdirAll(s.Downloads, 0o700); err != nil {
		return saved{}, fmt.Errorf("cannot save the file: %w", err)
	}
	f, err := fresh(s.Downloads, fileName(id), ".samovar-agent.tar")
	if err != nil {
		return saved{}, fmt.Errorf("cannot save the file: %w", err)
	}
	_, err = io.Copy(f, got.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return saved{}, errors.Join(fmt.Errorf("cannot save the file: %w", err), os.Remove(f.Name()))
	}
	return saved{f.Name()}, nil
}

// refused is what the API says why it gives no file.
func refused(got *http.Response) error {
	var said struct {
		Error struct{ Message string }
	}
	if err := json.NewDecoder(io.LimitReader(got.Body, mostAsked)).Decode(&said); err != nil || said.Error.Message == "" {
		return fmt.Errorf("the server answered with %d", got.StatusCode)
	}
	return refusal(said.Error.Message)
}

// fileName makes a name that no system takes for something else.
func fileName(id string) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, id), ". ")
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	if name == "" {
		return "agent"
	}
	return name
}

// fresh makes a file of a name that is not taken.
func fresh(dir, name, ext string) (*os.File, error) {
	for n := 1; ; n++ {
		full := name + ext
		if n > 1 {
			full = fmt.Sprintf("%s (%d)%s", name, n, ext)
		}
		f, err := os.OpenFile(filepath.Join(dir, full), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrExist) || n == 1000 {
			return f, err
		}
	}
}
