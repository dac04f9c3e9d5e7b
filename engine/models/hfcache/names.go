package hfcache

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A NameError is a name that cannot be one in a cache. Nothing was written.
type NameError struct {
	What   string // "repository", "commit", …
	Name   string
	Reason string // completes "The name …"
}

func (e *NameError) Error() string {
	return fmt.Sprintf("The %s %.200q %s. Check where the name comes from.", e.What, e.Name, e.Reason)
}

var (
	// repoName is the hub's own rule; older repos have no owner. "--" stands for the
	// slash in a cache.
	repoName  = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?/)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$`)
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func checkRepo(repo string) error {
	if !repoName.MatchString(repo) || strings.Contains(repo, "--") || strings.Contains(repo, "..") || strings.HasSuffix(repo, ".git") {
		return &NameError{"repository", repo, "is not of the form owner/name"}
	}
	return nil
}

func checkCommit(commit string) error {
	if !commitID.MatchString(commit) {
		return &NameError{"commit", commit, "is not made of 40 hexadecimal digits"}
	}
	return nil
}

func checkSHA256(sum string) error {
	if !sha256Hex.MatchString(sum) {
		return &NameError{"SHA-256", sum, "is not made of 64 hexadecimal digits"}
	}
	return nil
}

// Lengths in bytes: of one part, as usual file systems have it, and of a whole name, so
// that the cache's own path still fits before it.
const (
	longestPart = 240
	longestName = 900
)

// checkPath checks a name with slashes that becomes a path: a file's or a revision's.
func checkPath(what, name string) error {
	refuse := func(reason string) error { return &NameError{what, name, reason} }
	switch {
	case name == "":
		return refuse("is empty")
	case len(name) > longestName:
		return refuse("is too long")
	case !utf8.ValidString(name):
		return refuse("is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl), strings.ContainsAny(name, `\:`):
		// A backslash or a colon leads elsewhere on some systems.
		return refuse("has a character that file names must not have")
	case path.Clean(name) != name, !filepath.IsLocal(filepath.FromSlash(name)), name == ".":
		return refuse("is not a plain path below its folder")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > longestPart {
			return refuse("is too long")
		}
	}
	return nil
}

// firstError is the first of several checks' that failed.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// folder is a repo's in the cache.
func folder(repo string) string { return "models--" + strings.Replace(repo, "/", "--", 1) }
