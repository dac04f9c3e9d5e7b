package found

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// manifestMost is how long a manifest may be, in bytes. They have about a thousand;
// those of models that are stored tensor by tensor have up to a million.
const manifestMost = 4 << 20

const (
	ollamaHost = "registry.ollama.ai"
	ollamaOwn  = "library" // the namespace that names leave out
)

// ollamaName matches a part of a model's name; what has other names isn't Ollama's.
var ollamaName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:-]*$`)

var ollamaDigest = regexp.MustCompile(`^sha256[:-]([0-9a-fA-F]{64})$`)

// manifest is what Ollama knows of a model.
type manifest struct {
	Layers []layer `json:"layers"`
}

type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// scanOllama reads every manifest: manifests/<host>/<namespace>/<model>/<tag>.
func scanOllama(p *place) (found []entry) {
	top := filepath.Join(p.dir, "manifests")
	var walk func(dir string, parts []string)
	walk = func(dir string, parts []string) {
		if len(parts) == 3 {
			for _, e := range p.list(dir) {
				if e.IsDir() || !ollamaName.MatchString(e.Name()) {
					continue
				}
				at := filepath.Join(dir, e.Name())
				m, why := p.ollamaModel(at)
				if why != "" {
					p.report(&Problem{p.origin, at, why})
					continue
				}
				m.Name, m.Aliases = ollamaNames(parts[0], parts[1], parts[2], e.Name())
				found = append(found, m)
			}
			return
		}
		for _, name := range p.folders(dir) {
			if ollamaName.MatchString(name) {
				walk(filepath.Join(dir, name), append(parts[:len(parts):len(parts)], name))
			}
		}
	}
	walk(top, nil)
	return found
}

// ollamaModel reads one manifest and looks at its blobs. Why says what is wrong.
func (p *place) ollamaModel(path string) (e entry, why string) {
	text, why := p.text(path, manifestMost)
	if why != "" {
		return e, why
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return e, "Its manifest is damaged. Pull the model again with Ollama."
	}
	var model, projector *layer
	for i, l := range m.Layers {
		switch strings.TrimPrefix(l.MediaType, "application/vnd.ollama.image.") {
		case "model":
			model = &m.Layers[i] // the last, as for Ollama
		case "projector":
			if projector == nil {
				projector = &m.Layers[i]
			}
		case "adapter":
			return e, "It needs an adapter (LoRA), which is not supported. Use the model that the adapter is for."
		}
	}
	if model == nil {
		return e, "It has no GGUF file: it runs in the cloud, or is in another format. Choose another model."
	}
	e.Origin = p.origin
	f, why := p.blob(&e.Path, *model)
	if why != "" {
		return e, why
	}
	e.real, e.Parts, e.Bytes, e.Modified = f.real, []string{e.Path}, f.bytes, f.modified
	e.SHA256 = strings.ToLower(ollamaDigest.FindStringSubmatch(model.Digest)[1])
	if projector != nil {
		if _, why := p.blob(&e.MMProj, *projector); why != "" {
			return e, "Its projector, for pictures, cannot be used. " + why
		}
	}
	return e, ""
}

// blob looks at a layer's file and sets its path.
func (p *place) blob(path *string, l layer) (f file, why string) {
	m := ollamaDigest.FindStringSubmatch(l.Digest)
	if m == nil {
		return f, "Its manifest names a file by something that is no SHA-256 digest. Pull the model again with Ollama."
	}
	*path = filepath.Join(p.dir, "blobs", "sha256-"+m[1])
	if _, err := os.Lstat(*path); err != nil {
		if _, err := os.Lstat(*path + "-partial"); err == nil {
			return f, "It is not downloaded completely. Pull the model again with Ollama."
		}
		return f, fmt.Sprintf("Its file sha256-%.12s… is missing. Pull the model again with Ollama.", m[1])
	}
	f, why = p.gguf(*path)
	if why == "" && f.bytes != l.Size {
		why = fmt.Sprintf("Its file has %d bytes instead of %d. Pull the model again with Ollama.", f.bytes, l.Size)
	}
	return f, why
}

// ollamaNames are a model's name as Ollama lists it, and others that Ollama takes.
func ollamaNames(host, namespace, model, tag string) (name string, aliases []string) {
	short := model
	switch {
	case !strings.EqualFold(host, ollamaHost):
		short = host + "/" + namespace + "/" + model
	case !strings.EqualFold(namespace, ollamaOwn):
		short = namespace + "/" + model
	}
	if strings.EqualFold(tag, "latest") {
		aliases = append(aliases, short)
	}
	if host == "hf.co" || host == "huggingface.co" {
		aliases = append(aliases, namespace+"/"+model+":"+tag)
	}
	return short + ":" + tag, aliases
}
