package found

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Origin is the program that a model belongs to.
type Origin string

// The origins, in the order in which models are listed.
const (
	HuggingFace Origin = "huggingface"
	Ollama      Origin = "ollama"
	LMStudio    Origin = "lmstudio"
	LlamaCpp    Origin = "llama.cpp"
)

// String is the origin as a person knows it.
func (o Origin) String() string {
	switch o {
	case HuggingFace:
		return "Hugging Face"
	case Ollama:
		return "Ollama"
	case LMStudio:
		return "LM Studio"
	default:
		return string(o)
	}
}

// A Model is a whole model of another program.
type Model struct {
	// Name is what a user asks for it by. It is unique among its origin's models:
	//
	//	Hugging Face  owner/repo:Q4_K_M, or owner/repo:file.gguf where the file's name
	//	              tells no quantisation or another of the repo has the same
	//	Ollama        llama3.2:1b, user/model:tag, host/namespace/model:tag
	//	LM Studio     publisher/repo:Q4_K_M, like Hugging Face's
	//	llama.cpp     like Hugging Face's where the file's name tells the repo, else that
	//	              name
	Name string
	// Aliases are other names for it. None is another model's of the same origin.
	Aliases []string
	Origin  Origin
	// Path is the GGUF, the first part of a split one.
	Path     string
	Parts    []string // all of them in order, Path alone if it is not split
	Bytes    int64    // of all parts
	Modified time.Time
	// SHA256 is the file's in hex, where the layout tells it without reading the file,
	// else empty. Nobody has checked it, and a split model has none.
	SHA256 string
	// Template is the text of a Jinja chat template that lies beside the model, which
	// may differ from the one in the file; empty if there is none.
	Template string
	// MMProj is the path of a projector beside the model, empty if there is none.
	MMProj string
}

// A Problem is why something that looks like a model, or a place, isn't listed.
type Problem struct {
	Origin  Origin
	Path    string
	Message string // whole sentences for the user, what to do included
}

func (p Problem) String() string { return fmt.Sprintf("%s (%s): %s", p.Path, p.Origin, p.Message) }

// entry is a model on its way into the list.
type entry struct {
	Model
	rel  string // its file in what its repo's names are relative to, with slashes
	real string // Path without links: the same file is listed once
}

// Scan lists the models in the places. A broken one is a problem and hides no other; a
// place that does not exist is none. The same file under several names is one model, its
// other names are aliases. Of two files with the same name and origin, that of the
// earlier place is listed, as its program would use it. When ctx ends, what was found
// until then is returned.
func Scan(ctx context.Context, p Places) (models []Model, problems []Problem) {
	var all []entry
	for _, group := range []struct {
		origin Origin
		dirs   []string
		scan   func(*place) []entry
	}{
		{HuggingFace, p.HuggingFace, scanHuggingFace},
		{Ollama, p.Ollama, scanOllama},
		{LMStudio, p.LMStudio, scanLMStudio},
		{LlamaCpp, p.LlamaCpp, scanLlamaCpp},
	} {
		seen := map[string]bool{}
		var found []entry
		for _, dir := range group.dirs {
			pl := openPlace(ctx, group.origin, dir)
			if pl.root != "" && !seen[pl.root] {
				seen[pl.root] = true
				found = append(found, group.scan(pl)...)
			}
			problems = append(problems, pl.problems...)
		}
		slices.SortStableFunc(found, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
		all = append(all, found...)
	}
	return finish(merge(all)), problems
}

// merge makes one model of the same file found several times.
func merge(all []entry) []entry {
	var out []entry
	at := map[string]int{}
	for _, e := range all {
		if i, known := at[e.real]; known {
			out[i].Aliases = append(append(out[i].Aliases, e.Name), e.Aliases...)
			if out[i].MMProj == "" {
				out[i].MMProj = e.MMProj
			}
			continue
		}
		at[e.real] = len(out)
		out = append(out, e)
	}
	return out
}

// finish keeps, in each origin, the first model of a name, and the aliases that mean one
// model only.
func finish(all []entry) []Model {
	type called struct {
		origin Origin
		name   string
	}
	names := map[called]bool{}
	all = slices.DeleteFunc(all, func(e entry) bool {
		known := names[called{e.Origin, e.Name}]
		names[called{e.Origin, e.Name}] = true
		return known
	})
	uses := map[called]int{}
	for i := range all {
		slices.Sort(all[i].Aliases)
		all[i].Aliases = slices.Compact(all[i].Aliases)
		for _, alias := range all[i].Aliases {
			uses[called{all[i].Origin, alias}]++
		}
	}
	var models []Model
	for _, e := range all {
		e.Aliases = slices.DeleteFunc(e.Aliases, func(alias string) bool {
			c := called{e.Origin, alias}
			return names[c] || uses[c] > 1
		})
		models = append(models, e.Model)
	}
	return models
}
