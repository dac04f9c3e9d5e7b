package found

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// etagMost is how long the JSON file beside a model may be, in bytes; they have about
// 300.
const etagMost = 64 << 10

var (
	// llamaManifest matches what llama.cpp keeps of a repo; owner and repo are told apart.
	llamaManifest = regexp.MustCompile(`^manifest=([^=]+)=([^=]+)=.*\.json$`)
	// llamaFile guesses owner and repo from a file's name. Owners hardly ever have an
	// underscore, and repos of GGUFs nearly all say so at their end.
	llamaFile = regexp.MustCompile(`(?i)^([A-Za-z0-9.-]+)_(.+?[-_.]gguf)_.+\.gguf$`)
	// hubURL matches where a file of a repo is downloaded from.
	hubURL = regexp.MustCompile(`^https?://[^/]+/([\w.-]+)/([\w.-]+)/resolve/`)
)

// scanLlamaCpp looks at the files owner_repo_file.gguf of the folder itself, and at repos
// in Hugging Face's layout, which newer versions make.
func scanLlamaCpp(p *place) (found []entry) {
	var files, manifests []string
	etags := map[string]bool{}
	for _, e := range p.list(p.dir) {
		switch name := e.Name(); {
		case e.IsDir():
		case isGGUF(name):
			files = append(files, name)
		case strings.HasPrefix(name, "manifest="):
			manifests = append(manifests, name)
		case strings.HasSuffix(name, ".gguf.json"):
			etags[name] = true
		}
	}
	repos := map[string][]string{} // by repo, the rest of the files' names
	for _, name := range files {
		url := ""
		if etags[name+".json"] {
			url = p.etagURL(name + ".json")
		}
		repo := llamaRepo(name, url, manifests)
		repos[repo] = append(repos[repo], strings.TrimPrefix(name, llamaPrefix(repo)))
	}
	for _, repo := range slices.Sorted(maps.Keys(repos)) {
		found = append(found, p.flat(repo, filepath.Join(p.dir, llamaPrefix(repo))+ending(repo), repos[repo])...)
	}
	return append(found, scanHuggingFace(p)...)
}

// ending is what Join takes off the folder's path.
func ending(repo string) string {
	if repo == "" {
		return string(filepath.Separator)
	}
	return ""
}

// llamaPrefix is what the names of a repo's files begin with.
func llamaPrefix(repo string) string {
	if repo == "" {
		return ""
	}
	return strings.Replace(repo, "/", "_", 1) + "_"
}

// llamaRepo tells the repo of a file, from what is certain to what is likely; empty if
// nothing tells it. Nothing counts that the file's name does not begin with.
func llamaRepo(name, url string, manifests []string) string {
	var best string
	for _, m := range manifests {
		if parts := llamaManifest.FindStringSubmatch(m); parts != nil {
			repo := parts[1] + "/" + parts[2]
			if len(repo) > len(best) && fits(name, repo) {
				best = repo
			}
		}
	}
	if best != "" {
		return best
	}
	for _, parts := range [][]string{hubURL.FindStringSubmatch(url), llamaFile.FindStringSubmatch(name)} {
		if parts != nil && fits(name, parts[1]+"/"+parts[2]) {
			return parts[1] + "/" + parts[2]
		}
	}
	return ""
}

// fits says whether a file can be a repo's: something but the ending must be left.
func fits(name, repo string) bool {
	rest, ok := strings.CutPrefix(name, llamaPrefix(repo))
	return ok && withoutExt(rest) != ""
}

// etagURL reads where a file came from.
func (p *place) etagURL(name string) string {
	var etag struct {
		URL string `json:"url"`
	}
	text, why := p.text(filepath.Join(p.dir, name), etagMost)
	if why != "" || json.Unmarshal(text, &etag) != nil {
		return ""
	}
	return etag.URL
}
