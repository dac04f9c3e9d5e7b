package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Repo is a model's repository at one commit.
type Repo struct {
	ID      string // as it is now, whatever name it was asked for by
	Commit  string // lower-case hex
	Licence string // as its card says: apache-2.0; "" if it doesn't
	Gated   bool   // its files are for accounts that have accepted the licence
	// Downloads are of the last 30 days.
	Downloads, Likes int
	Tags             []string
	Files            []File // in the Hub's order
}

// A File is one of a repository's.
type File struct {
	Path   string // relative, with slashes, and safe to use below a folder
	Size   int64  // bytes; 0 if unknown
	SHA256 string // lower-case hex; "" for small files, which aren't in LFS
}

// Repo asks for a repository, at a branch, tag or commit; "" is the main branch. If there
// is none of that name, the error's hint names similar ones.
func (c *Client) Repo(ctx context.Context, id, revision string) (Repo, error) {
	if !validID(id) {
		return Repo{}, badRef(id, "It isn't of the form owner/repo.")
	}
	r, err := c.repo(ctx, id, revision)
	var e *Error
	if errors.As(err, &e) && e.noRepo {
		if similar := c.Similar(ctx, id); len(similar) > 0 {
			e.Hint += " There is " + strings.Join(similar, ", ") + "."
		}
	}
	return r, err
}

func (c *Client) repo(ctx context.Context, id, revision string) (Repo, error) {
	if revision == "" {
		revision = mainBranch
	}
	if !validRevision(revision) {
		return Repo{}, badRef(id+"@"+revision, "That can't be a revision.")
	}
	var m model
	path := "/api/models/" + id + "/revision/" + url.PathEscape(revision)
	if err := c.ask(ctx, path, url.Values{"blobs": {"true"}}, about{id: id, rev: revision}, &m); err != nil {
		return Repo{}, err
	}
	r, err := m.repo()
	if err != nil {
		return Repo{}, c.nonsense(http.StatusOK, err)
	}
	return r, nil
}

// Access asks whether the files of a repository may be fetched: for a gated one, which
// Repo lists to anybody, it says what to do first.
func (c *Client) Access(ctx context.Context, id string) error {
	if !validID(id) {
		return badRef(id, "It isn't of the form owner/repo.")
	}
	return c.ask(ctx, "/api/models/"+id+"/auth-check", nil, about{id: id}, nil)
}

// URL returns the address of a file, at the repository's commit. It's the Hub's and
// stays the same; where it redirects to doesn't.
func (c *Client) URL(r Repo, f File) string {
	segments := strings.Split(f.Path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return fmt.Sprintf("%s/%s/resolve/%s/%s", c.Endpoint(), r.ID, url.PathEscape(r.Commit), strings.Join(segments, "/"))
}

// model is the API's answer: what of it is used. Nothing in it is trusted.
type model struct {
	ID        string          `json:"id"`
	SHA       string          `json:"sha"`
	Gated     json.RawMessage `json:"gated"` // false, "auto" or "manual"
	Downloads int             `json:"downloads"`
	Likes     int             `json:"likes"`
	Tags      []string        `json:"tags"`
	Card      json.RawMessage `json:"cardData"`
	Siblings  []sibling       `json:"siblings"`
}

// sibling is a file. Sizes and digests come with blobs=true only.
type sibling struct {
	Path string `json:"rfilename"`
	Size int64  `json:"size"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"`
}

// repo checks an answer. Files of names that we wouldn't use are left out.
func (m model) repo() (Repo, error) {
	if !validID(m.ID) {
		return Repo{}, fmt.Errorf("the id is %.100q", m.ID)
	}
	if !commitForm.MatchString(m.SHA) {
		return Repo{}, fmt.Errorf("the commit is %.100q", m.SHA)
	}
	r := Repo{
		ID: m.ID, Commit: m.SHA, Licence: m.licence(), Tags: m.Tags,
		Gated:     len(m.Gated) > 0 && string(m.Gated) != "false" && string(m.Gated) != "null",
		Downloads: max(m.Downloads, 0), Likes: max(m.Likes, 0),
	}
	for _, s := range m.Siblings {
		if validPath(s.Path) {
			r.Files = append(r.Files, s.file())
		}
	}
	return r, nil
}

// largestFile is in bytes, and more than any: so that sums of sizes stay numbers.
const largestFile = 1 << 48

func (s sibling) file() File {
	size := s.Size
	if s.LFS != nil {
		size = s.LFS.Size // in some answers the other one is the pointer's
	}
	f := File{Path: s.Path, Size: min(max(size, 0), largestFile)}
	if s.LFS != nil {
		if digest := strings.ToLower(s.LFS.SHA256); digestForm.MatchString(digest) {
			f.SHA256 = digest
		}
	}
	return f
}

// licence reads the card, which its author wrote and which may be anything, else the
// tags that the Hub made of it.
func (m model) licence() string {
	var card struct {
		License json.RawMessage `json:"license"`
		Name    json.RawMessage `json:"license_name"` // if License is "other"
	}
	if json.Unmarshal(m.Card, &card) == nil {
		licence := text(card.License)
		if name := text(card.Name); name != "" && (licence == "" || licence == "other") {
			licence = name
		}
		if licence != "" {
			return licence
		}
	}
	for _, tag := range m.Tags {
		if name, ok := strings.CutPrefix(tag, "license:"); ok {
			return name
		}
	}
	return ""
}

// text reads a string, or a list of strings.
func text(raw json.RawMessage) string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one
	}
	var several []string
	if json.Unmarshal(raw, &several) == nil {
		return strings.Join(several, ", ")
	}
	return ""
}
