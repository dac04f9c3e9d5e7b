package found

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Places are the folders to look in, by the program that fills them. Those that do not
// exist are fine.
type Places struct {
	HuggingFace, Ollama, LMStudio, LlamaCpp []string
}

// settingsLimit is how much of LM Studio's settings is read, in bytes; usually they have
// a few thousand.
const settingsLimit = 1 << 20

// UsualPlaces are where the programs keep their models on a system (a GOOS) for the user
// with that home folder: the places that the environment names, then the usual ones. A
// program uses only the first, but a menu-bar app does not see the environment of the
// user's shell, and models from before a move are models, too. LM Studio's own settings
// are read for its place; nothing else is.
func UsualPlaces(goos, home string, lookupEnv func(string) (string, bool)) Places {
	from := func(name string, below ...string) string {
		value, _ := lookupEnv(name)
		// Ollama takes quotes off, Hugging Face expands the tilde.
		value = absolute(home, strings.Trim(strings.TrimSpace(value), `"'`))
		if value == "" {
			return ""
		}
		return filepath.Join(append([]string{value}, below...)...)
	}
	under := func(below ...string) string { return filepath.Join(append([]string{home}, below...)...) }

	p := Places{
		HuggingFace: []string{
			from("HF_HUB_CACHE"), from("HUGGINGFACE_HUB_CACHE"), from("HF_HOME", "hub"),
			from("XDG_CACHE_HOME", "huggingface", "hub"), under(".cache", "huggingface", "hub"),
		},
		Ollama:   []string{from("OLLAMA_MODELS"), under(".ollama", "models")},
		LMStudio: lmStudioPlaces(goos, home),
		LlamaCpp: []string{from("LLAMA_CACHE")},
	}
	if goos == "darwin" {
		p.LlamaCpp = append(p.LlamaCpp, under("Library", "Caches", "llama.cpp"))
	} else {
		p.LlamaCpp = append(p.LlamaCpp, from("XDG_CACHE_HOME", "llama.cpp"), under(".cache", "llama.cpp"))
	}
	if goos == "linux" {
		// The service's user's: Ollama's own installer, Arch Linux, NixOS.
		p.Ollama = append(p.Ollama, "/usr/share/ollama/.ollama/models", "/var/lib/ollama", "/var/lib/ollama/models")
	}
	for _, dirs := range []*[]string{&p.HuggingFace, &p.Ollama, &p.LMStudio, &p.LlamaCpp} {
		*dirs = distinct(*dirs)
	}
	return p
}

// lmStudioPlaces: the home folder that LM Studio's pointer names comes first, and in each
// home the folder that its settings name before the usual one.
func lmStudioPlaces(goos, home string) (dirs []string) {
	pointer, _ := readStart(filepath.Join(home, ".lmstudio-home-pointer"), settingsLimit)
	homes := []string{
		absolute(home, strings.TrimSpace(string(pointer))),
		filepath.Join(home, ".lmstudio"),
		filepath.Join(home, ".cache", "lm-studio"),
	}
	// Before it had a home, LM Studio kept its settings where Electron does.
	settings := filepath.Join(home, ".config", "LM Studio", "settings.json")
	if goos == "darwin" {
		settings = filepath.Join(home, "Library", "Application Support", "LM Studio", "settings.json")
	}
	for _, h := range homes {
		if h != "" {
			dirs = append(dirs, downloadsFolder(home, filepath.Join(h, "settings.json")), filepath.Join(h, "models"))
		}
	}
	return append(dirs, downloadsFolder(home, settings))
}

// downloadsFolder is the place that a settings file of LM Studio names, or empty.
func downloadsFolder(home, file string) string {
	text, complete := readStart(file, settingsLimit)
	var settings struct {
		DownloadsFolder string `json:"downloadsFolder"`
	}
	if !complete || json.Unmarshal(text, &settings) != nil {
		return ""
	}
	return absolute(home, settings.DownloadsFolder)
}

// absolute expands a leading tilde. Relative paths mean nothing outside of their program,
// so they come out empty.
func absolute(home, dir string) string {
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || rest[0] == '/') {
		dir = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Clean(dir)
}

func distinct(dirs []string) (out []string) {
	for _, dir := range dirs {
		if dir != "" && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// readStart reads a regular file up to a limit, and says whether that was all of it.
func readStart(file string, limit int64) (text []byte, complete bool) {
	// Looked at before it is opened: opening a pipe would wait for its writer.
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil || int64(len(text)) > limit {
		return nil, false
	}
	return text, true
}
