package hub

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A Variant is one of the models in a repository: a file, or the parts of one.
type Variant struct {
	Quant string // in capitals; "" if the name doesn't tell
	Files []File // the first part first
	Bytes int64  // of all parts; 0 if unknown
}

// usual are the quantisations that are taken if none is asked for, the first of them
// that there is: as llama.cpp's -hf does, with Q4_0 between.
var usual = []string{"Q4_K_M", "Q4_0", "Q8_0"}

// Variants lists a repository's models, the smallest first. What isn't a model on its own
// (projectors, draft heads, importance matrices) or lacks parts is left out.
func Variants(r Repo) []Variant {
	whole, _ := variants(r)
	slices.SortStableFunc(whole, func(a, b Variant) int { return cmp.Compare(a.Bytes, b.Bytes) })
	return whole
}

// variants groups files in the repository's order; broken lack parts.
func variants(r Repo) (whole, broken []Variant) {
	type group struct {
		of    int
		parts map[int]File
	}
	groups := map[string]*group{}
	var order []string
	for _, f := range r.Files {
		if !isModel(f.Path) {
			continue
		}
		model, part, of := split(f.Path)
		g := groups[model]
		if g == nil {
			g = &group{of: of, parts: map[int]File{}}
			groups[model] = g
			order = append(order, model)
		}
		g.parts[part] = f
	}
	for _, model := range order {
		g := groups[model]
		var v Variant
		for _, part := range slices.Sorted(maps.Keys(g.parts)) {
			v.Files = append(v.Files, g.parts[part])
			v.Bytes += g.parts[part].Size
		}
		v.Quant = quantOf(v.Files[0].Path)
		if len(g.parts) < g.of {
			broken = append(broken, v)
		} else {
			whole = append(whole, v)
		}
	}
	return whole, broken
}

// Pick chooses the model that a reference means, all parts of it, the first one first;
// and tells its quantisation, "" if its name doesn't. By file, the path's case doesn't
// matter, and its name will do if there is one of it only. By quantisation, the first
// file of it is taken. Without either it's the usual one of those there are.
func Pick(r Repo, ref Ref) (files []File, quant string, err error) {
	whole, broken := variants(r)
	var chosen *Variant
	switch {
	case ref.URL != "":
		return nil, "", badRef(ref.URL, "It isn't in a repository.")
	case ref.File != "":
		chosen, err = byFile(r, whole, broken, ref.File)
	case len(whole) == 0 && len(broken) == 0:
		err = noGGUF(r)
	case ref.Quant != "":
		chosen, err = byQuant(r, whole, broken, ref.Quant)
	case len(whole) == 0:
		err = incomplete(r, broken[0])
	default:
		chosen = byHabit(whole)
	}
	if err != nil {
		return nil, "", err
	}
	return chosen.Files, chosen.Quant, nil
}

func byFile(r Repo, whole, broken []Variant, name string) (*Variant, error) {
	match := []func(string) bool{
		func(p string) bool { return p == name },
		func(p string) bool { return strings.EqualFold(p, name) },
		func(p string) bool { return strings.EqualFold(path.Base(p), name) },
	}
	for _, same := range match {
		var found []string
		for _, f := range r.Files {
			if same(f.Path) {
				found = append(found, f.Path)
			}
		}
		if len(found) != 1 {
			continue // none, or several; the next is looser, and would find more
		}
		if !isModel(found[0]) {
			return nil, &Error{
				Kind: NoGGUF, Message: fmt.Sprintf("%s of %s isn't a model on its own.", found[0], r.ID),
				Hint: "It goes with one. " + offer(r, whole),
			}
		}
		has := func(v Variant) bool {
			return slices.ContainsFunc(v.Files, func(f File) bool { return f.Path == found[0] })
		}
		if i := slices.IndexFunc(whole, has); i >= 0 {
			return &whole[i], nil
		}
		if i := slices.IndexFunc(broken, has); i >= 0 {
			return nil, incomplete(r, broken[i])
		}
	}
	if len(whole) == 0 {
		return nil, noGGUF(r)
	}
	var names []string
	for _, v := range whole {
		names = append(names, v.Files[0].Path)
	}
	return nil, &Error{
		Kind: NotFound, Message: fmt.Sprintf("%s has no file %q.", r.ID, name),
		Hint: didYouMean(name, names) + "There is " + enumerate(names) + ".",
	}
}

// byQuant prefers the very quantisation to one of a longer name: Q4_K_XL finds
// UD-Q4_K_XL, if there's no other. FP16 is F16.
func byQuant(r Repo, whole, broken []Variant, quant string) (*Variant, error) {
	plain := func(q string) string { return strings.Replace(strings.ToUpper(q), "FP16", "F16", 1) }
	quant = plain(quant)
	match := []func(Variant) bool{
		func(v Variant) bool { return plain(v.Quant) == quant },
		func(v Variant) bool { return strings.HasSuffix(plain(v.Quant), "-"+quant) },
		func(v Variant) bool { // of a name that we don't know, as llama.cpp looks for it
			name := strings.ToUpper(v.Files[0].Path)
			return strings.Contains(name, quant+".") || strings.Contains(name, quant+"-")
		},
	}
	for _, same := range match {
		if i := slices.IndexFunc(whole, same); i >= 0 {
			return &whole[i], nil
		}
		if i := slices.IndexFunc(broken, same); i >= 0 {
			return nil, incomplete(r, broken[i])
		}
	}
	return nil, &Error{
		Kind: NoSuchQuant, Message: fmt.Sprintf("%s has no %s.", r.ID, quant),
		Hint: didYouMean(quant, quants(whole)) + offer(r, whole),
	}
}

// byHabit takes one of the usual, else what is nearest to four bits a weight, rather
// more than less.
func byHabit(whole []Variant) *Variant {
	for _, q := range usual {
		if i := slices.IndexFunc(whole, func(v Variant) bool { return v.Quant == q }); i >= 0 {
			return &whole[i]
		}
	}
	best := 0
	for i := range whole {
		if habit(whole[i]) < habit(whole[best]) {
			best = i
		}
	}
	return &whole[best]
}

// habit orders variants: what is lower is rather taken.
func habit(v Variant) int {
	switch b := bits(v.Quant); {
	case b == 0:
		return 100 // we don't know what it is
	case b < 4:
		return 50 - b // worse than any that is larger
	default:
		return b
	}
}

func noGGUF(r Repo) *Error {
	return &Error{
		Kind: NoGGUF, Message: fmt.Sprintf("%s has no model in the GGUF format.", r.ID),
		Hint: "Others often publish one: look for its name with GGUF behind it.",
	}
}

func incomplete(r Repo, v Variant) *Error {
	_, _, of := split(v.Files[0].Path)
	return &Error{
		Kind:    BadAnswer,
		Message: fmt.Sprintf("%s has only %d of the %d parts of %s.", r.ID, len(v.Files), of, v.Files[0].Path),
		Hint:    "It may still be being uploaded: try again later, or choose another.",
	}
}

func quants(in []Variant) []string {
	var names []string
	for _, v := range in {
		if v.Quant != "" && !slices.Contains(names, v.Quant) {
			names = append(names, v.Quant)
		}
	}
	return names
}

// offer says what there is instead.
func offer(r Repo, whole []Variant) string {
	names := quants(whole)
	if len(names) == 0 {
		for _, v := range whole {
			names = append(names, v.Files[0].Path)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("%s has no other model in the GGUF format.", r.ID)
	}
	return "There is " + enumerate(names) + "."
}

func enumerate(names []string) string {
	const most = 40 // large repositories have about 30 kinds
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
