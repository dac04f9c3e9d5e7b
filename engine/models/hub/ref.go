package hub

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// A Ref is what a user writes to mean a model. Either Repo is set, or URL.
type Ref struct {
	Repo     string // owner/name
	Revision string // branch, tag or commit; "" is the main branch
	// Quant or File choose among the repository's models; both empty is the usual one.
	Quant string // as in the file's name, in capitals: Q4_K_M
	File  string // the path in the repository
	URL   string // a file that is not on the Hub
}

const (
	mainBranch = "main"
	refForms   = "Write owner/repo, owner/repo:Q4_K_M, owner/repo:file.gguf, owner/repo@revision, or the https address of a .gguf file."
)

// quantForm takes what people put behind the colon; whether there is such a one, Pick knows.
var quantForm = regexp.MustCompile(`^[A-Z0-9][A-Z0-9_.-]{0,63}$`)

// ParseRef reads a reference in any of the forms that people paste: owner/repo, with
// @revision, with :quant or :file.gguf, with hf.co/ or huggingface.co/ before it; the
// address of a repository or of a file on the Hub; the https address of a .gguf file
// elsewhere. It's strict: whatever it returns is safe in a path and in a URL.
func ParseRef(text string) (Ref, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Ref{}, badRef(text, "It is empty.")
	}
	rest, web := text, false
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if scheme = strings.ToLower(scheme); scheme != "https" && scheme != "http" {
			return Ref{}, badRef(text, "Only https addresses are read.")
		}
		rest, web = after, true
	}
	host, below, _ := strings.Cut(rest, "/")
	switch strings.ToLower(host) {
	case "hf.co", "huggingface.co", "www.huggingface.co":
		return parseHub(text, below)
	}
	if web {
		return parseElsewhere(text)
	}
	return parseShort(text, rest)
}

// parseHub reads what follows the Hub's host: a short form, or a page's path.
func parseHub(text, below string) (Ref, error) {
	below, _, _ = strings.Cut(below, "#")
	below, _, _ = strings.Cut(below, "?") // ?download=true, of the page's own links
	below = strings.TrimSuffix(below, "/")
	if strings.Count(below, "/") < 3 || strings.ContainsAny(before(below, "/", 2), ":@") {
		return parseShort(text, below)
	}
	parts := strings.Split(below, "/")
	for i, p := range parts {
		unescaped, err := url.PathUnescape(p)
		if err != nil {
			return Ref{}, badRef(text, "Its address can't be read.")
		}
		parts[i] = unescaped
	}
	repo, page, rev, path := parts[0]+"/"+parts[1], parts[2], parts[3], parts[4:]
	if rev == "refs" && len(path) >= 2 { // refs/pr/1, which pages write without escapes
		rev, path = strings.Join(parts[3:6], "/"), parts[6:]
	}
	r := Ref{Repo: repo, Revision: rev, File: strings.Join(path, "/")}
	switch page {
	case "resolve", "blob", "raw":
		if r.File == "" {
			return Ref{}, badRef(text, "It names no file.")
		}
	case "tree":
		if r.File != "" {
			return Ref{}, badRef(text, "It is a folder.")
		}
	default:
		return Ref{}, badRef(text, "It is the address of another page.")
	}
	return r.checked(text)
}

// before returns what stands before the n-th separator, or everything.
func before(s, separator string, n int) string {
	at := 0
	for range n {
		i := strings.Index(s[at:], separator)
		if i < 0 {
			return s
		}
		at += i + len(separator)
	}
	return s[:at]
}

// parseShort reads owner/repo[@revision][:quant or file]. A revision has no colon, and
// an owner and a repository have no @.
func parseShort(text, short string) (Ref, error) {
	left, tag, tagged := strings.Cut(short, ":")
	repo, rev, revised := strings.Cut(left, "@")
	if tagged && tag == "" || revised && rev == "" {
		return Ref{}, badRef(text, "Something is missing at its end.")
	}
	r := Ref{Repo: repo, Revision: rev}
	switch {
	case isGGUF(tag):
		r.File = tag
	case strings.EqualFold(tag, "latest"): // Ollama's for the usual one
	default:
		r.Quant = strings.ToUpper(tag)
	}
	return r.checked(text)
}

// parseElsewhere reads the address of a file. Plain http is for this machine only: what
// comes over it could have been changed on the way, and there is no digest to tell.
func parseElsewhere(text string) (Ref, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return Ref{}, badRef(text, "Its address can't be read.")
	case u.User != nil:
		return Ref{}, badRef("The address", "It holds a password, which would be stored and shown.")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return Ref{}, badRef(text, "Only https addresses are read.")
	case !isGGUF(u.Path) || !validPath(strings.TrimLeft(u.Path, "/")):
		return Ref{}, badRef(text, "It isn't the address of a .gguf file.")
	}
	u.Host = strings.ToLower(u.Host)
	u.Fragment, u.RawFragment = "", ""
	return Ref{URL: u.String()}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checked validates a reference to the Hub. The main branch has one name: none.
func (r Ref) checked(text string) (Ref, error) {
	if r.Revision == mainBranch {
		r.Revision = ""
	}
	owner, name, _ := strings.Cut(r.Repo, "/")
	switch {
	case strings.Count(r.Repo, "/") != 1 || owner == "" || name == "":
		return Ref{}, badRef(text, "It isn't of the form owner/repo.")
	case !validID(r.Repo):
		return Ref{}, badRef(text, fmt.Sprintf("%q can't be the name of a model on the Hub.", r.Repo))
	case r.Revision != "" && !validRevision(r.Revision):
		return Ref{}, badRef(text, fmt.Sprintf("%q can't be a revision.", r.Revision))
	case r.File != "" && (!isGGUF(r.File) || !validPath(r.File)):
		return Ref{}, badRef(text, fmt.Sprintf("%q can't be the path of a .gguf file.", r.File))
	case r.Quant != "" && !quantForm.MatchString(r.Quant):
		return Ref{}, badRef(text, fmt.Sprintf("%q is neither a quantisation nor a .gguf file.", r.Quant))
	}
	return r, nil
}

// String returns the canonical form, which ParseRef reads as the same reference.
func (r Ref) String() string {
	if r.URL != "" {
		return r.URL
	}
	s := r.Repo
	if r.Revision != "" {
		s += "@" + r.Revision
	}
	if r.File != "" {
		return s + ":" + r.File
	}
	if r.Quant != "" {
		return s + ":" + r.Quant
	}
	return s
}

// badRef shortens what it repeats, which somebody may have pasted by mistake.
func badRef(text, why string) *Error {
	const enough = 200 // bytes
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "…"
	}
	if text == "" {
		text = "The reference"
	}
	return &Error{Kind: BadRef, Message: fmt.Sprintf("%s doesn't name a model. %s", text, why), Hint: refForms}
}
