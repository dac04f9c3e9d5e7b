package hub

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

const (
	mostFound    = 50  // repositories in one search: each costs a request for its sizes
	longestQuery = 200 // bytes
	atOnce       = 4   // requests for sizes
	similarNames = 3
)

// Search finds repositories with GGUF files, the most downloaded first. An empty query
// finds the most downloaded of all. Their files have sizes, except where the Hub
// wouldn't tell: a list with some gaps is better than none.
func (c *Client) Search(ctx context.Context, query string, limit int) ([]Repo, error) {
	found, err := c.list(ctx, query, min(max(limit, 1), mostFound))
	if err != nil {
		return nil, err
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	for i := range found {
		g.Go(func() error {
			r, err := c.repo(asking, found[i].ID, found[i].Commit)
			switch {
			case err == nil:
				found[i] = r
			case KindOf(err) == RateLimited:
				stop() // the others would make it worse
			}
			return nil
		})
	}
	_ = g.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return found, nil
}

// Similar returns names of repositories with GGUF files that a user may have meant by
// id, or could take instead; none if the Hub doesn't know or doesn't answer.
func (c *Client) Similar(ctx context.Context, id string) []string {
	_, name, _ := strings.Cut(id, "/")
	found, err := c.list(ctx, name, similarNames)
	if err != nil {
		return nil
	}
	var names []string
	for _, r := range found {
		if r.ID != id {
			names = append(names, r.ID)
		}
	}
	return names
}

// list asks for repositories, whose files have no sizes yet. Those without an owner, or
// that make no sense, are left out.
func (c *Client) list(ctx context.Context, query string, limit int) ([]Repo, error) {
	query = strings.TrimSpace(query)
	if len(query) > longestQuery {
		query = strings.ToValidUTF8(query[:longestQuery], "")
	}
	values := url.Values{
		"filter": {"gguf"}, "full": {"true"}, "limit": {strconv.Itoa(limit)},
		"sort": {"downloads"}, "direction": {"-1"},
	}
	if query != "" {
		values.Set("search", query)
	}
	var models []model
	if err := c.ask(ctx, "/api/models", values, about{}, &models); err != nil {
		return nil, err
	}
	var found []Repo
	for _, m := range models {
		if r, err := m.repo(); err == nil && len(found) < limit {
			found = append(found, r)
		}
	}
	return found, nil
}
