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
	mostRedirects = 5 // a renamed repository takes one
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
	http     *http.Client
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
	case c.endpoint.User != nil:
		c.broken = errors.New("it holds a password, which would be shown")
	}
	ours := *o.Client
	ours.CheckRedirect = c.stay
	c.http = &ours
	return c
}

// Close lets go of idle connections, of the given http.Client as well.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint returns the Hub's address, without a slash at its end.
func (c *Client) Endpoint() string { return c.endpoint.String() }

var (
	errManyRedirects = errors.New("too many redirects")
	errLeft          = errors.New("redirected to another host")
)

// stay follows a renamed repository, which is on the same host. The scheme and the port
// count, too: http.Client alone would send the token to another port of the same host,
// and to hosts below it.
func (c *Client) stay(req *http.Request, via []*http.Request) error {
	if len(via) > mostRedirects {
		return errManyRedirects
	}
	if req.URL.Scheme != c.endpoint.Scheme || !strings.EqualFold(req.URL.Host, c.endpoint.Host) {
		return errLeft
	}
	return nil
}

// ask puts a question to the API and decodes the answer, unless that is to be nil. path
// is escaped.
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
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp, what)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer+1))
	if err != nil {
		return c.unanswered(ctx, err)
	}
	if len(body) > longestAnswer {
		return c.nonsense(resp.StatusCode, fmt.Errorf("more than %d bytes", longestAnswer))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return c.nonsense(resp.StatusCode, err)
	}
	return nil
}
