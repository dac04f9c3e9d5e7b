package hub

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longestName     = 96   // of an owner or a repository, the Hub's limit
	longestRevision = 255  // of a branch, as of a file in most file systems
	longestPath     = 1024 // of a file in a repository; macOS's limit for a whole path
	longestSegment  = 255  // of one name in it, in bytes
)

var (
	// nameForm is huggingface_hub's rule (utils/_validators.py), in ASCII.
	nameForm     = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	revisionForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+/@-]*$`)
	commitForm   = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	digestForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// reserved are first segments of the Hub's paths that aren't owners of models.
var reserved = []string{"api", "datasets", "spaces", "docs", "models", "settings", "collections", "papers"}

// validID says whether a text is owner/name by the Hub's rules.
func validID(id string) bool {
	owner, name, ok := strings.Cut(id, "/")
	return ok && validName(owner) && validName(name) && !slices.Contains(reserved, strings.ToLower(owner))
}

func validName(name string) bool {
	return len(name) <= longestName && nameForm.MatchString(name) &&
		!strings.Contains(name, "--") && !strings.Contains(name, "..") &&
		!strings.HasSuffix(strings.ToLower(name), ".git")
}

// validRevision takes branches, tags, refs/pr/1 and commits, by a part of git's rules.
func validRevision(rev string) bool {
	if len(rev) > longestRevision || !revisionForm.MatchString(rev) || strings.Contains(rev, "..") {
		return false
	}
	for segment := range strings.SplitSeq(rev, "/") {
		if segment == "" || segment[0] == '.' || strings.HasSuffix(segment, ".") || strings.HasSuffix(segment, ".lock") {
			return false
		}
	}
	return true
}

// validPath says whether a file's path in a repository may be used as one below a
// folder of ours: relative, clean, and of characters that can be shown.
func validPath(path string) bool {
	if len(path) > longestPath || !utf8.ValidString(path) || strings.ContainsRune(path, '\\') {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > longestSegment {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) })
}

func isGGUF(path string) bool {
	base := path[strings.LastIndexByte(path, '/')+1:]
	return len(base) > len(ext) && strings.EqualFold(base[len(base)-len(ext):], ext)
}

const ext = ".gguf"
