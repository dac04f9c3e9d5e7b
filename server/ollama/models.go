package ollama

import (
	"fmt"
	"strings"
	"time"

	"samovar/engine/infer"
)

// Details of a model.
type Details struct {
	ParentModel       string   `json:"parent_model"`
	Format            string   `json:"format"`
	Family            string   `json:"family"`
	Families          []string `json:"families"`
	ParameterSize     string   `json:"parameter_size"`
	QuantizationLevel string   `json:"quantization_level"`
}

type tag struct {
	Name       string    `json:"name"`
	Model      string    `json:"model"`
	ModifiedAt time.Time `json:"modified_at"`
	Size       int64     `json:"size"`
	Digest     string    `json:"digest"`
	Details    Details   `json:"details"`
}

// Tags answers GET /api/tags. A model is listed under each of its names: some clients
// download what they do not find by the very name that they ask for.
func Tags(all []infer.LocalModel) any {
	tags := []tag{}
	for _, m := range all {
		if m.Problem != "" {
			continue
		}
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			tags = append(tags, tag{Name: tagged(name), Model: tagged(name), ModifiedAt: m.Modified, Size: m.Bytes, Digest: m.SHA256, Details: details(m)})
		}
	}
	return map[string]any{"models": tags}
}

// tagged is a name with a tag, as Ollama has them.
func tagged(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return name + ":latest"
}

func details(m infer.LocalModel) Details {
	d := Details{Format: "gguf", Families: []string{}}
	if f := m.Facts; f != nil {
		d.Family, d.Families, d.QuantizationLevel = f.Architecture, []string{f.Architecture}, f.Quantisation
		d.ParameterSize = parameters(f.Parameters)
	}
	return d
}

// parameters is how Ollama writes their number: 494.03M, 8.2B.
func parameters(n uint64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}

// Show answers POST /api/show.
func Show(m infer.LocalModel) any {
	capabilities := []string{"completion"}
	info := map[string]any{}
	if f := m.Facts; f != nil {
		info["general.architecture"] = f.Architecture
		info["general.parameter_count"] = f.Parameters
		info["general.basename"] = f.Title
		info[f.Architecture+".context_length"] = f.ContextTokens
		if f.Tools {
			capabilities = append(capabilities, "tools")
		}
		if f.Thinking {
			capabilities = append(capabilities, "thinking")
		}
	}
	return map[string]any{
		"modelfile": "FROM " + m.Path, "parameters": "", "template": "", "license": "",
		"details": details(m), "model_info": info, "capabilities": capabilities, "modified_at": m.Modified,
	}
}

type running struct {
	Name      string    `json:"name"`
	Model     string    `json:"model"`
	Size      int64     `json:"size"`
	Digest    string    `json:"digest"`
	Details   Details   `json:"details"`
	ExpiresAt time.Time `json:"expires_at"`
	SizeVRAM  int64     `json:"size_vram"`
	Context   int       `json:"context_length"`
}

// Running answers GET /api/ps: the models that are loaded. They stay until their memory
// is needed, so that the time that they expire at is far away.
func Running(o infer.Overview, now time.Time) any {
	all := []running{}
	for _, s := range o.Models {
		if s.State != infer.StateReady {
			continue
		}
		all = append(all, running{
			Name: tagged(s.Model.ID), Model: tagged(s.Model.ID), Size: s.Bytes, SizeVRAM: s.Bytes, Context: s.Model.ContextTokens, ExpiresAt: now.AddDate(1, 0, 0),
			Details: Details{Format: "gguf", Family: s.Model.Architecture, Families: []string{s.Model.Architecture}, ParameterSize: parameters(s.Model.Parameters)},
		})
	}
	return map[string]any{"models": all}
}

// Progress is a line of POST /api/pull.
type Progress struct {
	Status    string `json:"status,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Total     int64  `json:"total,omitempty"`
	Completed int64  `json:"completed,omitempty"`
	Error     string `json:"error,omitempty"`
}

// ProgressOf says how far a download is.
func ProgressOf(p infer.Pull) Progress {
	switch p.State {
	case infer.PullStarting:
		return Progress{Status: "pulling manifest"}
	case infer.PullVerifying:
		return Progress{Status: "verifying sha256 digest"}
	case infer.PullDone:
		return Progress{Status: "success"}
	case infer.PullFailed:
		return Progress{Error: strings.TrimSpace(p.Error + " " + p.Hint)}
	case infer.PullPaused, infer.PullCancelled:
		return Progress{Error: "The download was " + string(p.State) + "."}
	}
	return Progress{Status: "pulling " + p.Model, Digest: p.Model, Total: p.Total, Completed: p.Done}
}

// Error is Ollama's shape of an error.
func Error(message string) any { return map[string]string{"error": message} }
