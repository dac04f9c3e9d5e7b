package link

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"samovar/engine/models/hub"
)

// Scheme is what the links begin with.
const Scheme = "samovar"

const (
	// longest link, and longest id of an agent, in bytes.
	longest   = 2048
	longestID = 150
	forms     = "links are samovar://pull/owner/repo, samovar://open/PAGE or samovar://open/agents/ID"
)

// Link is one that was understood. Pull or Page is set; Agent is one on the page agents.
type Link struct {
	// Pull is a model of the Hub, as owner/repo or owner/repo:QUANT.
	Pull string
	// Page is the name of a page of the dashboard; whether there is one, the caller knows.
	Page string
	// Agent is the id of an agent, if the link is one's.
	Agent string
}

var pageName = regexp.MustCompile(`^[a-z]{1,32}$`)

// Parse reads a link, and refuses whatever is more than that.
func Parse(text string) (Link, error) {
	l, err := parse(text)
	if err != nil {
		return Link{}, fmt.Errorf("this is no link of Samovar's: %w; %s", err, forms)
	}
	return l, nil
}

func parse(text string) (Link, error) {
	if len(text) > longest {
		return Link{}, errors.New("it is too long")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Link{}, errors.New("it cannot be read")
	case u.Scheme != Scheme || u.Opaque != "":
		return Link{}, errors.New("it does not begin with samovar://")
	case u.User != nil || u.Port() != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Link{}, errors.New("it has more than a path")
	}
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	switch strings.ToLower(u.Host) {
	case "pull":
		return pull(path)
	case "open":
		return open(path)
	}
	return Link{}, errors.New("it neither pulls nor opens")
}

func pull(path string) (Link, error) {
	ref, err := hub.ParseRef(path)
	if err != nil || ref.Repo == "" || ref.File != "" || ref.Revision != "" || ref.String() != path && !strings.EqualFold(ref.String(), path) {
		return Link{}, errors.New("it does not name a model as owner/repo or owner/repo:QUANT")
	}
	return Link{Pull: ref.String()}, nil
}

func open(path string) (Link, error) {
	name, rest, more := strings.Cut(path, "/")
	if !pageName.MatchString(name) || more && name != "agents" {
		return Link{}, errors.New("it does not name a page")
	}
	if !more {
		return Link{Page: name}, nil
	}
	id, err := url.PathUnescape(rest)
	if err != nil || id == "" || len(id) > longestID || !utf8.ValidString(id) || strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return Link{}, errors.New("it does not name an agent")
	}
	return Link{Page: name, Agent: id}, nil
}

// Path is the page of the dashboard that the link means.
func (l Link) Path() string {
	switch {
	case l.Pull != "":
		return "/models?pull=" + l.Pull
	case l.Agent != "":
		// What the page reads back by decodeURIComponent, in the characters of a path.
		return "/agents/" + strings.ReplaceAll(url.QueryEscape(l.Agent), "+", "%20")
	}
	return "/" + l.Page
}
