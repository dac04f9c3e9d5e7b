package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	usualEndpoint  = "https://huggingface.co"
	usualUserAgent = "samovar"

	// patience is for one question to the API, the answer's body included.
	patience = 30 * time.Second
	// longestAnswer bounds what is kept of an answer, in bytes. The largest lists, of
	// repositories with thousands of files, have some 2 MiB.
	longestAnswer = 16 << 20
	// mostRedirects: renamed repositories take one, files two.
	mostRedirects = 5
)

// Options are a Client's. What is left out is usual.
type Options struct {
	// Endpoint is the Hub's address, https://huggingface.co, as in HF_ENDPOINT.
	Endpoint string
	// Token is the user's, as of TokenFrom; "" asks as a stranger.
	Token string
	// Client is used with redirects of our own. If nil, it's one that takes its proxies
	// from the environment.
	Client *http.Client
	// UserAgent is what the Hub sees of us.
	UserAgent string
}

// A Client asks the Hub. It has no state, and is for any number of goroutines.
type Client struct {
	endpoint *url.URL
	broken   error // the endpoint can't be used
	token    string
	agent    string
	api      *http.Client // stays on the endpoint's host
	files    *http.Client // leaves it, without the token
}

// New returns a client. It does nothing until it's asked.
func New(o Options) *Client {
	if o.Endpoint == "" {
		o.Endpoint = usualEndpoint
	}
	if !strings.Contains(o.Endpoint, "://") {
		o.Endpoint = "https://" + o.Endpoint
	}
	if o.UserAgent == "" {
		o.UserAgent = usualUserAgent
	}
	if o.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = patience
		o.Client = &http.Client{Transport: transport}
	}
	c := &Client{token: cleanToken(o.Token), agent: o.UserAgent}
	c.endpoint, c.broken = url.Parse(strings.TrimRight(o.Endpoint, "/"))
	switch {
	case c.broken != nil:
		c.endpoint = &url.URL{}
	case c.endpoint.Host == "" || c.endpoint.Scheme != "https" && c.endpoint.Scheme != "http":
		c.broken = errors.New("no http address")
	}
	api, files := *o.Client, *o.Client
	api.CheckRedirect, files.CheckRedirect = c.stay, c.leave
	c.api, c.files = &api, &files
	return c
}

// Close lets go of idle connections, of the given http.Client as well.
func (c *Client) Close() { c.api.CloseIdleConnections() }

// Endpoint returns the Hub's address, without a slash at its end.
func (c *Client) Endpoint() string { return c.endpoint.String() }

// home says whether an address is the Hub's own. The port counts, too: http.Client
// would send the token to another port of the same host, and to hosts below it.
func (c *Client) home(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && strings.EqualFold(u.Host, c.endpoint.Host)
}

var (
	errManyRedirects = errors.New("too many redirects")
	errLeft          = errors.New("redirected to another host")
	errPlain         = errors.New("redirected from https to http")
)

// stay follows a renamed repository, which is on the same host.
func (c *Client) stay(req *http.Request, via []*http.Request) error {
	if len(via) > mostRedirects {
		return errManyRedirects
	}
	if !c.home(req.URL) {
		return errLeft
	}
	return nil
}

// leave follows a file to where it's stored, and leaves the token behind. The Referer,
// too: it may hold a signature.
func (c *Client) leave(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if len(via) > mostRedirects {
		return errManyRedirects
	}
	if req.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https" {
		return errPlain
	}
	if !c.home(req.URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

// Do sends a request for a file, of an address as of URL or of one elsewhere, and
// follows its redirects. The token goes along on the Hub's own host only. Any answer but
// a 2xx is an *Error with its Status; what is returned must be closed. That a body stalls
// is for the caller to notice.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if c.broken != nil {
		return nil, c.misconfigured()
	}
	req = req.Clone(req.Context())
	c.sign(req)
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", "identity") // ranges count the file's own bytes
	}
	resp, err := c.files.Do(req)
	if err != nil {
		return nil, c.unanswered(req.Context(), req.URL, err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, c.refusal(resp, c.subject(req.URL))
	}
	return resp, nil
}

// subject names, for people, what a file's address is about.
func (c *Client) subject(u *url.URL) about {
	if c.home(u) {
		path := strings.TrimPrefix(strings.TrimPrefix(u.Path, c.endpoint.Path), "/")
		if id, file, ok := strings.Cut(path, "/resolve/"); ok && validID(id) {
			rev, file, _ := strings.Cut(file, "/")
			return about{id: id, rev: rev, file: file}
		}
	}
	return about{file: u.Path[strings.LastIndexByte(u.Path, '/')+1:]}
}

func (c *Client) sign(req *http.Request) {
	req.Header.Set("User-Agent", c.agent)
	req.Header.Del("Authorization")
	if c.token != "" && c.home(req.URL) {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// ask puts a question to the API and decodes the answer. path is escaped.
func (c *Client) ask(ctx context.Context, path string, query url.Values, what about, answer any) error {
	if c.broken != nil {
		return c.misconfigured()
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(asked, http.MethodGet, c.Endpoint()+path+"?"+query.Encode(), nil)
	if err != nil {
		return c.nonsense(0, err)
	}
	c.sign(req)
	req.Header.Set("Accept", "application/json")
	resp, err := c.api.Do(req)
	if err != nil {
		return c.unanswered(ctx, req.URL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp, what)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer+1))
	if err != nil {
		return c.unanswered(ctx, req.URL, err)
	}
	if len(body) > longestAnswer {
		return c.nonsense(resp.StatusCode, fmt.Errorf("more than %d bytes", longestAnswer))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return c.nonsense(resp.StatusCode, err)
	}
	return nil
}
