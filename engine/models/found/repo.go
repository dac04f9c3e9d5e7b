package found

import (
	"path"
	"path/filepath"
)

// take looks at a candidate's files, which lie at prefix + rel. The problem says why it
// is no model; there is none if ctx has ended.
func (p *place) take(prefix string, c candidate) (entry, *Problem) {
	at := func(rel string) string { return prefix + filepath.FromSlash(rel) }
	if c.lack != "" {
		return entry{}, &Problem{p.origin, at(c.rels[0]), c.lack}
	}
	e := entry{rel: c.rels[0], Model: Model{Origin: p.origin, Path: at(c.rels[0])}}
	for i, rel := range c.rels {
		f, why := p.gguf(at(rel))
		if why != "" {
			return entry{}, &Problem{p.origin, at(rel), why}
		}
		if i == 0 {
			e.real = f.real
		}
		e.Parts = append(e.Parts, at(rel))
		e.Bytes += f.bytes
		if f.modified.After(e.Modified) {
			e.Modified = f.modified
		}
	}
	return e, nil
}

// beside adds what lies beside a model: a projector, a template in its folder or above.
func (p *place) beside(prefix string, e *entry, projectors []string) {
	if e.MMProj == "" {
		if rel := closest(e.rel, projectors); rel != "" {
			at := prefix + filepath.FromSlash(rel)
			if _, why := p.gguf(at); why == "" {
				e.MMProj = at
			}
		}
	}
	for dir := path.Dir(e.rel); e.Template == ""; dir = path.Dir(dir) {
		text, why := p.text(prefix+filepath.FromSlash(path.Join(dir, "chat_template.jinja")), templateMost)
		if why == "" {
			e.Template = string(text)
		}
		if dir == "." {
			break
		}
	}
}

// flat finds the models among files at prefix + rel, all of one repo or, if repo is
// empty, of none.
func (p *place) flat(repo, prefix string, rels []string) (found []entry) {
	candidates, projectors := assemble(rels)
	for _, c := range candidates {
		e, problem := p.take(prefix, c)
		if problem != nil {
			p.report(problem)
			continue
		}
		if repo != "" { // else nothing tells what belongs together
			p.beside(prefix, &e, projectors)
		}
		found = append(found, e)
	}
	nameAll(repo, found)
	return found
}

// report adds a problem, unless it is one only because ctx has ended.
func (p *place) report(problem *Problem) {
	if p.ctx.Err() == nil {
		p.problem(problem.Path, "%s", problem.Message)
	}
}
