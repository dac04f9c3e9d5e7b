package found

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// quant matches a quantisation as file names have it: llama.cpp's own, and the variants
// of those who publish GGUFs (Unsloth's UD-, "large" mixtures like Q4_K_XL).
var quant = regexp.MustCompile(`(?i)(?:^|[-._ ])((?:UD-)?(?:` +
	`I?Q[1-8](?:_(?:[0-9]|K|NL|XXS|XS|S|M|L|XL|XXL))+|TQ[12]_0|` +
	`MXFP[468](?:_MOE)?|NVFP4|BF16|FP?16|FP?32))(?:[-._ ]|$)`)

// quantOf takes the quantisation from a file's name, in capitals; empty if it tells none.
// It stands last in names, behind the words that a model's name might share with one.
func quantOf(rel string) (found string) {
	name := path.Base(rel)
	if m := split.FindStringSubmatch(name); m != nil {
		name = m[1]
	} else {
		name = withoutExt(name)
	}
	for {
		at := quant.FindStringSubmatchIndex(name)
		if at == nil {
			return found
		}
		found = strings.ToUpper(name[at[2]:at[3]])
		name = name[at[3]:] // what follows begins with the separator
	}
}

func isGGUF(name string) bool { return strings.EqualFold(path.Ext(name), ".gguf") }

func withoutExt(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// split matches the part of a split model: the rest of the name, number and count.
var split = regexp.MustCompile(`(?i)^(.+)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// draft matches models that only help another to guess ahead, by the names that
// llama.cpp knows them by.
var draft = regexp.MustCompile(`(?:^|[-_.])(?:mtp|eagle3|dflash|dspark)-`)

// A candidate is a file, or several, that should make a model.
type candidate struct {
	rels []string // in order; the first is never missing from the list itself
	lack string   // what it lacks, a sentence; empty if it is complete
}

// assemble sorts GGUF files by what their names say: models, whose parts are joined,
// projectors, and others that no one can talk to.
func assemble(rels []string) (models []candidate, projectors []string) {
	type whole struct {
		prefix string
		count  string
	}
	at := map[whole]int{}
	for _, rel := range rels {
		base := path.Base(rel)
		switch lower := strings.ToLower(base); {
		case strings.Contains(lower, "mmproj"):
			projectors = append(projectors, rel)
			continue
		case strings.Contains(lower, "imatrix"), draft.MatchString(lower):
			continue
		}
		m := split.FindStringSubmatch(base)
		if m == nil {
			models = append(models, candidate{rels: []string{rel}})
			continue
		}
		of := whole{path.Join(path.Dir(rel), m[1]), m[3]}
		i, known := at[of]
		if !known {
			i = len(models)
			at[of] = i
			models = append(models, candidate{})
		}
		models[i].rels = append(models[i].rels, rel)
	}
	for i, c := range models {
		if m := split.FindStringSubmatch(path.Base(c.rels[0])); m != nil {
			models[i] = joined(c.rels, m[3])
		}
	}
	return models, projectors
}

// joined orders the parts of a split model and tells those that lack.
func joined(rels []string, count string) candidate {
	n, _ := strconv.Atoi(count) // five digits
	slices.Sort(rels)           // the numbers have the same length
	have := map[int]bool{}
	for _, rel := range rels {
		number, _ := strconv.Atoi(split.FindStringSubmatch(path.Base(rel))[2])
		if number < 1 || number > n || have[number] {
			return candidate{rels, fmt.Sprintf("Its parts do not fit together: one of %d is called number %d.", n, number)}
		}
		have[number] = true
	}
	if len(rels) == n {
		return candidate{rels: rels}
	}
	first := 1
	for have[first] {
		first++
	}
	return candidate{rels, fmt.Sprintf("It has %d of %d parts: part %d is missing. Download the model again.", len(rels), n, first)}
}

// key is what stands for a candidate in all snapshots of a repo.
func (c candidate) key() string {
	base := path.Base(c.rels[0])
	if m := split.FindStringSubmatch(base); m != nil {
		return path.Join(path.Dir(c.rels[0]), m[1]) + " of " + m[3]
	}
	return c.rels[0]
}

// nameAll names a repo's models: by the quantisation where that means one only, else by
// the file. The other names are aliases, and the repo's own if it has one model only.
// Without a repo, a file's name is all there is.
func nameAll(repo string, models []entry) {
	same := map[string]int{}
	for _, m := range models {
		same[quantOf(m.rel)]++
	}
	for i := range models {
		m := &models[i]
		if repo == "" {
			m.Name = m.rel
			m.Aliases = append(m.Aliases, withoutExt(m.rel))
			continue
		}
		m.Name = repo + ":" + m.rel
		if q := quantOf(m.rel); q != "" && same[q] == 1 {
			m.Aliases = append(m.Aliases, m.Name)
			m.Name = repo + ":" + q
		}
		if len(models) == 1 {
			m.Aliases = append(m.Aliases, repo)
		}
	}
}

// projectorQuants are the usual ones, the best for most machines first: a projector is
// small, and its half precision is what llama.cpp's own converter writes.
var projectorQuants = []string{"F16", "BF16", "Q8_0", "F32"}

// closest chooses a model's projector among those in its folder and the folders above it.
func closest(rel string, projectors []string) (best string) {
	rank := func(p string) (depth, quant int) {
		quant = slices.Index(projectorQuants, quantOf(p))
		if quant < 0 {
			quant = len(projectorQuants)
		}
		return strings.Count(p, "/"), quant
	}
	for _, p := range projectors {
		if dir := path.Dir(p); dir != "." && !strings.HasPrefix(rel, dir+"/") {
			continue
		}
		depth, q := rank(p)
		if bestDepth, bestQ := rank(best); best == "" || depth > bestDepth || depth == bestDepth && q < bestQ {
			best = p
		}
	}
	return best
}
