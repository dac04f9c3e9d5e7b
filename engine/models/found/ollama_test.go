package found

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type pulled struct{ kind, content string }

// pull writes a model as Ollama does.
func pull(t testing.TB, dir, path string, layers ...pulled) {
	files := map[string]string{}
	m := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
	var list []map[string]any
	for _, l := range layers {
		files["blobs/sha256-"+sum(l.content)] = l.content
		list = append(list, map[string]any{"mediaType": "application/vnd.ollama.image." + l.kind, "digest": "sha256:" + sum(l.content), "size": len(l.content)})
	}
	m["layers"] = list
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	files["manifests/"+path] = string(raw)
	lay(t, dir, files)
}

func ollama(dir string) Places { return Places{Ollama: []string{dir}} }

func TestOllama(t *testing.T) {
	dir := t.TempDir()
	small := fake("llama3.2:1b")
	pull(t, dir, "registry.ollama.ai/library/llama3.2/1b", pulled{"model", small}, pulled{"template", "{{ .Prompt }}"},
		pulled{"license", "free"}, pulled{"params", `{"stop":["x"]}`})
	pull(t, dir, "registry.ollama.ai/library/llama3.2/latest", pulled{"model", fake("3b")}, pulled{"template", "{{ .Prompt }}"})
	pull(t, dir, "registry.ollama.ai/library/llama3.2/3b", pulled{"model", fake("3b")}, pulled{"template", "{{ .Prompt }}"})
	pull(t, dir, "registry.ollama.ai/library/gemma3/latest", pulled{"model", fake("gemma")}, pulled{"projector", fake("eyes")})
	pull(t, dir, "registry.ollama.ai/user/model/v1.0", pulled{"model", fake("user")})
	pull(t, dir, "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF/Q4_K_M", pulled{"model", fake("hf")})
	pull(t, dir, "localhost:5000/me/mine/latest", pulled{"model", fake("mine")})
	lay(t, dir, map[string]string{"manifests/.DS_Store": "x", "manifests/registry.ollama.ai/library/llama3.2/.DS_Store": "x", "manifests/registry.ollama.ai/stray": "x"})

	models, problems := scan(t, dir, ollama(dir))
	require.Empty(t, problems)
	require.Equal(t, []string{
		"gemma3:latest", "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", "llama3.2:1b", "llama3.2:3b", "localhost:5000/me/mine:latest", "user/model:v1.0",
	}, names(models))
	blob := filepath.Join(dir, "blobs", "sha256-"+sum(small))
	require.Equal(t, Model{
		Name: "llama3.2:1b", Origin: Ollama, Path: blob, Parts: []string{blob}, Bytes: int64(len(small)),
		Aliases: models[2].Aliases, Modified: models[2].Modified, SHA256: sum(small),
	}, models[2])
	require.Empty(t, models[2].Aliases)
	require.True(t, old.Equal(models[2].Modified))
	require.Equal(t, filepath.Join(dir, "blobs", "sha256-"+sum(fake("eyes"))), models[0].MMProj)
	require.Equal(t, []string{"gemma3"}, models[0].Aliases)
	require.Equal(t, []string{"bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"}, models[1].Aliases)
	require.Equal(t, []string{"llama3.2", "llama3.2:latest"}, models[3].Aliases, "two names, one file")
	require.Equal(t, []string{"localhost:5000/me/mine"}, models[4].Aliases)
}

func TestBrokenOllama(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	lay(t, outside, map[string]string{"x.gguf": fake("secret"), "1b": "{}"})
	library := "registry.ollama.ai/library/"
	digest := func(content string) string { return "sha256:" + sum(content) }
	layers := func(text string) string { return `{"layers":[` + text + `]}` }
	model := func(digest, size string) string {
		return layers(`{"mediaType":"application/vnd.ollama.image.model","digest":"` + digest + `","size":` + size + `}`)
	}
	pull(t, dir, library+"good/latest", pulled{"model", fake("good")})
	pull(t, dir, library+"lora/latest", pulled{"model", fake("good")}, pulled{"adapter", fake("lora")})
	pull(t, dir, library+"text/latest", pulled{"model", "This is not a model."})
	pull(t, dir, library+"embed/latest", pulled{"template", "none"})
	lay(t, dir, map[string]string{
		"manifests/" + library + "missing/latest":       model(digest("missing"), "7"),
		"manifests/" + library + "partial/latest":       model(digest("partial"), "7"),
		"blobs/sha256-" + sum("partial") + "-partial":   "GG",
		"blobs/sha256-" + sum("partial") + "-partial-0": "{}",
		"manifests/" + library + "size/latest":          model(digest(fake("size")), "99"),
		"blobs/sha256-" + sum(fake("size")):             fake("size"),
		"manifests/" + library + "digest/latest":        model("sha256:../../../etc/passwd", "1"),
		"manifests/" + library + "md5/latest":           model("md5:0123", "1"),
		"manifests/" + library + "json/latest":          "{",
		"manifests/" + library + "cut/latest":           "",
		"manifests/" + library + "wrong/latest":         `{"layers":"none"}`,
		"manifests/" + library + "null/latest":          `null`,
		"manifests/" + library + "long/latest":          `{"x":"` + strings.Repeat("x", manifestMost) + `"}`,
		"manifests/" + library + "link/latest":          "-> " + outside + "/1b",
		"manifests/" + library + "folder":               "-> " + outside,
		"manifests/" + library + "escape/latest":        model(digest("escape"), "14"),
		"blobs/sha256-" + sum("escape"):                 "-> " + outside + "/x.gguf",
		"manifests/" + library + "projector/latest":     layers(`{"mediaType":"application/vnd.ollama.image.model","digest":"` + digest(fake("good")) + `","size":12},{"mediaType":"application/vnd.ollama.image.projector","digest":"` + digest("no") + `","size":1}`),
		"manifests/" + library + "deep/latest/x/y":      "{}",
		"manifests/" + library + "name with/sp ace":     "{}",
		"manifests/" + library + "modelname/bad name!":  "{}",
	})
	models, problems := scan(t, dir, ollama(dir))
	require.Equal(t, []string{"good:latest"}, names(models))
	again := " Pull the model again with Ollama."
	var want []string
	for name, message := range map[string]string{
		"lora/latest":      "It needs an adapter (LoRA), which is not supported. Use the model that the adapter is for.",
		"text/latest":      "It is not in the GGUF format. Download it again, or choose a model in that format.",
		"embed/latest":     "It has no GGUF file: it runs in the cloud, or is in another format. Choose another model.",
		"null/latest":      "It has no GGUF file: it runs in the cloud, or is in another format. Choose another model.",
		"missing/latest":   "Its file sha256-" + sum("missing")[:12] + "… is missing." + again,
		"partial/latest":   "It is not downloaded completely." + again,
		"size/latest":      "Its file has 12 bytes instead of 99." + again,
		"digest/latest":    "Its manifest names a file by something that is no SHA-256 digest." + again,
		"md5/latest":       "Its manifest names a file by something that is no SHA-256 digest." + again,
		"json/latest":      "Its manifest is damaged." + again,
		"cut/latest":       "Its manifest is damaged." + again,
		"wrong/latest":     "Its manifest is damaged." + again,
		"long/latest":      "It has 4194312 bytes; more than 4194304 are not read.",
		"link/latest":      "It is a link that leads out of the folder, which is refused. Put the file itself here.",
		"escape/latest":    "It is a link that leads out of the folder, which is refused. Put the file itself here.",
		"folder":           linkedFolder,
		"projector/latest": "Its projector, for pictures, cannot be used. Its file sha256-" + sum("no")[:12] + "… is missing." + again,
	} {
		want = append(want, name+": "+message)
	}
	require.ElementsMatch(t, want, told(filepath.Join(dir, "manifests", library), problems))
}

func FuzzOllamaManifest(f *testing.F) {
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:` + sum(fake("x")) + `","size":9}]}`))
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.adapter"}]}`))
	f.Add([]byte(`{"layers":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		lay(t, dir, map[string]string{
			"blobs/sha256-" + sum(fake("x")): fake("x"),
		})
		lay(t, dir, map[string]string{"manifests/registry.ollama.ai/library/m/fuzz": " " + string(raw)})
		models, problems := Scan(t.Context(), ollama(dir))
		require.Equal(t, 1, len(models)+len(problems))
		for _, m := range models {
			require.Equal(t, filepath.Join(dir, "blobs", "sha256-"+sum(fake("x"))), m.Path)
		}
	})
}
