package found

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sha256Hex is the name of a large file's blob; a small one's has 40 letters.
var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func scanHuggingFace(p *place) (found []entry) {
	for _, name := range p.folders(p.dir) {
		if owned, ok := strings.CutPrefix(name, "models--"); ok {
			// Repos' names have no "--" of their own; one without an owner is very old.
			repo := strings.Replace(owned, "--", "/", 1)
			found = append(found, p.hubRepo(repo, filepath.Join(p.dir, name))...)
		}
	}
	return found
}

// hubRepo finds a repo's models. A file of several snapshots is taken from the newest in
// which it is complete, and an incomplete one is a problem only if no snapshot has it.
func (p *place) hubRepo(repo, dir string) (found []entry) {
	type snapshot struct {
		prefix     string
		projectors []string
	}
	var snapshots []snapshot
	done := map[string]int{} // by candidate and by blob, where in found
	broken := map[string]*Problem{}
	var order []string // of broken
	for _, commit := range p.snapshots(dir) {
		at := filepath.Join(dir, "snapshots", commit)
		s := snapshot{prefix: at + string(filepath.Separator)}
		var candidates []candidate
		candidates, s.projectors = assemble(p.ggufs(at))
		snapshots = append(snapshots, s)
		for _, c := range candidates {
			if _, known := done[c.key()]; known {
				continue
			}
			e, problem := p.take(s.prefix, c)
			if problem != nil {
				if broken[c.key()] == nil {
					broken[c.key()] = problem
					order = append(order, c.key())
				}
				continue
			}
			if i, known := done[e.real]; known { // renamed in the repo
				found[i].Aliases = append(found[i].Aliases, repo+":"+e.rel)
				continue
			}
			done[c.key()], done[e.real] = len(found), len(found)
			if blob := filepath.Base(e.real); len(e.Parts) == 1 && sha256Hex.MatchString(blob) {
				e.SHA256 = blob
			}
			p.beside(s.prefix, &e, s.projectors)
			found = append(found, e)
		}
	}
	for i := range found {
		for _, s := range snapshots { // a projector may have come with another commit
			p.beside(s.prefix, &found[i], s.projectors)
		}
	}
	for _, key := range order {
		if _, known := done[key]; !known {
			p.report(broken[key])
		}
	}
	nameAll(repo, found)
	return found
}

// snapshots lists a repo's commits: refs/main's first, then the latest.
func (p *place) snapshots(dir string) []string {
	main, _ := p.text(filepath.Join(dir, "refs", "main"), 1<<10)
	commits := p.folders(filepath.Join(dir, "snapshots"))
	changed := map[string]int64{}
	for _, commit := range commits {
		if info, err := os.Stat(filepath.Join(dir, "snapshots", commit)); err == nil {
			changed[commit] = info.ModTime().UnixNano()
		}
	}
	slices.SortStableFunc(commits, func(a, b string) int {
		current := strings.TrimSpace(string(main))
		switch {
		case a == current:
			return -1
		case b == current:
			return 1
		case changed[a] > changed[b]:
			return -1
		case changed[a] < changed[b]:
			return 1
		default:
			return 0
		}
	})
	return commits
}
