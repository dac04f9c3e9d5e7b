package found

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func env(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestUsualPlaces(t *testing.T) {
	home := t.TempDir()
	under := func(path string) string { return filepath.Join(home, path) }
	lmstudio := []string{under(".lmstudio/models"), under(".cache/lm-studio/models")}
	require.Equal(t, Places{
		HuggingFace: []string{under(".cache/huggingface/hub")},
		Ollama:      []string{under(".ollama/models")},
		LMStudio:    lmstudio,
		LlamaCpp:    []string{under("Library/Caches/llama.cpp")},
	}, UsualPlaces("darwin", home, env(nil)))
	require.Equal(t, Places{
		HuggingFace: []string{under(".cache/huggingface/hub")},
		Ollama:      []string{under(".ollama/models"), "/usr/share/ollama/.ollama/models", "/var/lib/ollama", "/var/lib/ollama/models"},
		LMStudio:    lmstudio,
		LlamaCpp:    []string{under(".cache/llama.cpp")},
	}, UsualPlaces("linux", home, env(nil)))

	all := UsualPlaces("linux", home, env(map[string]string{
		"HF_HUB_CACHE": "/1", "HUGGINGFACE_HUB_CACHE": "~/2", "HF_HOME": "/3/", "XDG_CACHE_HOME": under(".cache"),
		"OLLAMA_MODELS": `"/disk/ollama" `, "LLAMA_CACHE": "/5",
	}))
	require.Equal(t, []string{"/1", under("2"), "/3/hub", under(".cache/huggingface/hub")}, all.HuggingFace)
	require.Equal(t, []string{"/disk/ollama", under(".ollama/models")}, all.Ollama[:2])
	require.Equal(t, []string{"/5", under(".cache/llama.cpp")}, all.LlamaCpp)

	odd := UsualPlaces("darwin", home, env(map[string]string{"HF_HOME": "", "HF_HUB_CACHE": "relative", "OLLAMA_MODELS": "~other/x"}))
	require.Equal(t, []string{under(".cache/huggingface/hub")}, odd.HuggingFace)
	require.Equal(t, []string{under(".ollama/models")}, odd.Ollama)
}

func TestLMStudioSaysWhere(t *testing.T) {
	home := t.TempDir()
	under := func(path string) string { return filepath.Join(home, path) }
	lay(t, home, map[string]string{
		".lmstudio-home-pointer":            under("elsewhere") + "\n",
		"elsewhere/settings.json":           `{"downloadsFolder": "/disk/models", "x": [1]}`,
		".lmstudio/settings.json":           `{"downloadsFolder": "~/my models"}`,
		".cache/lm-studio/settings.json":    `{"downloadsFolder":`,
		".config/LM Studio/settings.json":   `{"downloadsFolder": "/ancient"}`,
		"Library/Application Support/empty": "",
	})
	require.Equal(t, []string{
		"/disk/models", under("elsewhere/models"), under("my models"), under(".lmstudio/models"), under(".cache/lm-studio/models"), "/ancient",
	}, UsualPlaces("linux", home, env(nil)).LMStudio)

	for name, settings := range map[string]string{
		"relative": `{"downloadsFolder": "..\\models"}`, "number": `{"downloadsFolder": 7}`,
		"long": `{"x":"` + strings.Repeat("x", settingsLimit) + `","downloadsFolder": "/long"}`,
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			lay(t, home, map[string]string{".lmstudio/settings.json": settings, ".lmstudio-home-pointer": " "})
			require.Equal(t, []string{filepath.Join(home, ".lmstudio/models"), filepath.Join(home, ".cache/lm-studio/models")},
				UsualPlaces("darwin", home, env(nil)).LMStudio)
		})
	}
}

func TestLMStudio(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	lay(t, outside, map[string]string{"big-Q8_0.gguf": fake("linked")})
	lay(t, dir, map[string]string{
		"lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf":       fake("qwen"),
		"lmstudio-community/gemma-3-4b-it-GGUF/gemma-3-4b-Q8_0.gguf":  fake("gemma"),
		"lmstudio-community/gemma-3-4b-it-GGUF/mmproj-model-f16.gguf": fake("eyes"),
		"unsloth/big-GGUF/big-UD-Q4_K_XL-00001-of-00002.gguf":         fake("one"),
		"unsloth/big-GGUF/big-UD-Q4_K_XL-00002-of-00002.gguf":         fake("two"),
		"unsloth/big-GGUF/big-Q8_0-00001-of-00002.gguf":               fake("one"),
		"unsloth/big-GGUF/big-Q8_0-00002-of-00002.gguf.part":          "half",
		"unsloth/big-GGUF/downloading_other-Q8_0.gguf.part":           "half",
		"me/mlx/model.safetensors":                                    "not for us",
		"me/linked/big-Q8_0.gguf":                                     "-> " + outside + "/big-Q8_0.gguf",
		"me/same/again-Q4_K_M.gguf":                                   "-> ../../lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf",
		"me/folder":                                                   "-> " + outside,
		"stray.gguf":                                                  fake("no publisher"),
		"me/stray.gguf":                                               fake("no repo"),
	})
	models, problems := scan(t, dir, Places{LMStudio: []string{dir, dir + "/."}})
	require.Equal(t, []string{"lmstudio-community/Qwen3-4B-GGUF:Q4_K_M", "lmstudio-community/gemma-3-4b-it-GGUF:Q8_0", "unsloth/big-GGUF:UD-Q4_K_XL"}, names(models))
	require.Equal(t, []string{
		"lmstudio-community/Qwen3-4B-GGUF", "lmstudio-community/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M.gguf",
		"me/same", "me/same:Q4_K_M", "me/same:again-Q4_K_M.gguf",
	}, models[0].Aliases)
	require.Equal(t, LMStudio, models[1].Origin)
	require.Equal(t, filepath.Join(dir, "lmstudio-community/gemma-3-4b-it-GGUF/mmproj-model-f16.gguf"), models[1].MMProj)
	require.Len(t, models[2].Parts, 2)
	require.ElementsMatch(t, []string{
		"me/folder: " + linkedFolder,
		"me/linked/big-Q8_0.gguf: It is a link that leads out of the folder, which is refused. Put the file itself here.",
		"unsloth/big-GGUF/big-Q8_0-00001-of-00002.gguf: It has 1 of 2 parts: part 2 is missing. Download the model again.",
	}, told(dir, problems))
}

func TestLlamaCpp(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"ggml-org_gemma-3-4b-it-GGUF_gemma-3-4b-it-Q4_K_M.gguf":            fake("gemma"),
		"ggml-org_gemma-3-4b-it-GGUF_gemma-3-4b-it-Q4_K_M.gguf.etag":       `"x"`,
		"ggml-org_gemma-3-4b-it-GGUF_mmproj-model-f16.gguf":                fake("eyes"),
		"manifest=ggml-org=gemma-3-4b-it-GGUF=latest.json":                 "{}",
		"some_one_odd_repo_m-Q8_0.gguf":                                    fake("odd"),
		"manifest=some_one=odd_repo=Q8_0.json":                             "{}",
		"manifest=some_one=odd=Q8_0.json":                                  "{}",
		"manifest=broken.json":                                             "{}",
		"microsoft_phi_phi-Q4_0.gguf":                                      fake("phi"),
		"microsoft_phi_phi-Q4_0.gguf.json":                                 `{"etag":"x","url":"https://huggingface.co/microsoft/phi/resolve/main/phi-Q4_0.gguf"}`,
		"a_b_c-Q4_0.gguf":                                                  fake("liar"),
		"a_b_c-Q4_0.gguf.json":                                             `{"url":"https://huggingface.co/x/y/resolve/main/c-Q4_0.gguf"}`,
		"d_e-Q4_0.gguf":                                                    fake("broken etag"),
		"d_e-Q4_0.gguf.json":                                               `{`,
		"RichardErkhov_meta_-_Llama-1B-gguf_Llama-1B.Q5_K_M.gguf":          fake("guessed"),
		"unsloth_big-GGUF_Q8_0_big-Q8_0-00001-of-00002.gguf":               fake("one"),
		"unsloth_big-GGUF_Q8_0_big-Q8_0-00002-of-00002.gguf":               fake("two"),
		"unsloth_bad-GGUF_bad-Q8_0-00001-of-00002.gguf":                    fake("one"),
		"unsloth_bad-GGUF_bad-Q8_0-00002-of-00002.gguf.downloadInProgress": "half",
		"x_y-GGUF_z-Q8_0.gguf.downloadInProgress":                          "half",
		"ai_smollm2_135M-Q4_0.gguf":                                        fake("docker"),
		"tiny.gguf":                                                        fake("by url"),
		"mmproj-stray.gguf":                                                fake("no one's"),
	})
	hub(t, dir, "new/layout-GGUF", newCommit, map[string]map[string]string{newCommit: {"m-Q4_0.gguf": fake("new layout")}})
	models, problems := scan(t, dir, Places{LlamaCpp: []string{dir}})
	require.Equal(t, []string{
		"RichardErkhov/meta_-_Llama-1B-gguf:Q5_K_M",
		"a_b_c-Q4_0.gguf", "ai_smollm2_135M-Q4_0.gguf", "d_e-Q4_0.gguf",
		"ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", "microsoft/phi:Q4_0", "new/layout-GGUF:Q4_0",
		"some_one/odd_repo:Q8_0", "tiny.gguf", "unsloth/big-GGUF:Q8_0",
	}, names(models))
	require.Equal(t, filepath.Join(dir, "ggml-org_gemma-3-4b-it-GGUF_mmproj-model-f16.gguf"), models[4].MMProj)
	require.Equal(t, []string{"ggml-org/gemma-3-4b-it-GGUF", "ggml-org/gemma-3-4b-it-GGUF:gemma-3-4b-it-Q4_K_M.gguf"}, models[4].Aliases)
	require.Equal(t, sum(fake("new layout")), models[6].SHA256)
	require.Equal(t, filepath.Join(dir, "tiny.gguf"), models[8].Path)
	require.Equal(t, []string{"tiny"}, models[8].Aliases)
	require.Empty(t, models[8].MMProj)
	require.Len(t, models[9].Parts, 2)
	require.Equal(t, []string{
		"unsloth_bad-GGUF_bad-Q8_0-00001-of-00002.gguf: It has 1 of 2 parts: part 2 is missing. Download the model again.",
	}, told(dir, problems))
}

// All programs at once: a cache that two of them share, a place that is a link, places
// that are missing or are none.
func TestScanTogether(t *testing.T) {
	dir := t.TempDir()
	at := func(path string) string { return filepath.Join(dir, path) }
	hub(t, at("hub"), "a/b", newCommit, map[string]map[string]string{newCommit: {"m-Q4_0.gguf": fake("shared")}})
	hub(t, at("hub2"), "a/b", newCommit, map[string]map[string]string{newCommit: {"m-Q4_0.gguf": fake("of the second"), "m-Q8_0.gguf": fake("more")}})
	lay(t, dir, map[string]string{"studio/a/b/m-Q4_0.gguf": fake("another file"), "link": "-> hub", "a file": "x", "gone": "-> nowhere"})
	pull(t, at("ollama"), "registry.ollama.ai/library/x/latest", pulled{"model", fake("x")})

	models, problems := scan(t, dir, Places{
		HuggingFace: []string{at("missing"), at("link"), at("hub"), at("hub2"), at("gone"), at("a file")},
		Ollama:      []string{at("ollama"), at("hub")},
		LMStudio:    []string{at("studio"), at("a file/below")},
		LlamaCpp:    []string{at("hub")},
	})
	var got []string
	for _, m := range models {
		got = append(got, string(m.Origin)+" "+m.Name)
	}
	require.Equal(t, []string{"huggingface a/b:Q4_0", "huggingface a/b:Q8_0", "ollama x:latest", "lmstudio a/b:Q4_0"}, got)
	require.Contains(t, models[0].Path, at("link"), "of two places, the first")
	require.Equal(t, []string{
		"a file: It is not a folder.",
		"a file/below: It cannot be read (not a directory).",
	}, told(dir, problems))
	require.Contains(t, problems[0].String(), "(Hugging Face): It is")
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	lay(t, dir, map[string]string{"a/b/m-Q4_0.gguf": fake("x"), "a/c/m-Q8_0.gguf": fake("y"), "a/d/m.gguf": fake("z")})
	require.NoError(t, os.Chmod(filepath.Join(dir, "a/b"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a/c/m-Q8_0.gguf"), 0))
	defer func() { require.NoError(t, os.Chmod(filepath.Join(dir, "a/b"), 0o700)) }()
	models, problems := Scan(t.Context(), Places{LMStudio: []string{dir}})
	require.Equal(t, []string{"a/d:m.gguf"}, names(models))
	require.Len(t, problems, 2)
	for _, p := range problems {
		require.Contains(t, p.Message, "Samovar may not read it.")
	}
}

// Opening a pipe would wait for ever for somebody to write into it.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{"manifests/registry.ollama.ai/library/x/y": "{}", "a/b/c": ""})
	for _, name := range []string{"manifests/registry.ollama.ai/library/x/latest", "a/b/m.gguf", "a/b/chat_template.jinja", ".lmstudio-home-pointer"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, name), 0o600))
	}
	_, problems := Scan(t.Context(), Places{Ollama: []string{dir}, LMStudio: []string{dir}})
	require.Len(t, problems, 3)
	require.Equal(t, "It is not a regular file.", problems[0].Message)
	UsualPlaces("linux", dir, env(nil))
}

func TestScanStops(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{"a/b/m.gguf": fake("x"), "a/b/bad.gguf": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	models, problems := Scan(ctx, Places{LMStudio: []string{dir}})
	require.Empty(t, models)
	require.Empty(t, problems)
}

func TestBounds(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	for i := range mostProblems + 50 {
		files[fmt.Sprintf("a/b/%03d.gguf", i)] = "bad"
	}
	deep := "a/c" + strings.Repeat("/d", deepest)
	files[deep+"/deep-Q8_0.gguf"] = fake("deep")
	files[deep+"/d/deeper-Q4_0.gguf"] = fake("deeper")
	lay(t, dir, files)
	models, problems := Scan(t.Context(), Places{LMStudio: []string{dir}})
	require.Equal(t, []string{"a/c:Q8_0"}, names(models))
	require.Len(t, problems, mostProblems+1)
	require.Equal(t, "There are more problems than these; the others are not listed.", problems[mostProblems].Message)

	p := openPlace(t.Context(), LMStudio, dir)
	p.left = 100
	scanLMStudio(p)
	require.Equal(t, "It has more than 200000 files and folders; the rest was not looked at.", p.problems[0].Message)
	require.Empty(t, p.list(dir))
}
