package hub

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// longestToken is in bytes; real ones have about 40.
const longestToken = 4096

// TokenFrom finds the user's token where the ecosystem keeps it (huggingface_hub,
// constants.py and _auth.py): in HF_TOKEN or HUGGING_FACE_HUB_TOKEN, else in the file
// that HF_TOKEN_PATH names, else in $HF_HOME/token, which is in ~/.cache/huggingface by
// default. It returns "" if there is none. home is the user's home folder.
func TokenFrom(lookupEnv func(string) (string, bool), home string) string {
	env := func(name string) string {
		value, _ := lookupEnv(name)
		return value
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if token := cleanToken(env(name)); token != "" {
			return token
		}
	}
	return tokenIn(tokenPath(env, home))
}

func tokenPath(env func(string) string, home string) string {
	expand := func(path string) string {
		if path == "~" || strings.HasPrefix(path, "~/") {
			path = home + path[1:]
		}
		return os.Expand(path, env)
	}
	if path := env("HF_TOKEN_PATH"); path != "" {
		return expand(path)
	}
	if folder := env("HF_HOME"); folder != "" {
		return filepath.Join(expand(folder), "token")
	}
	cache := env("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(expand(cache), "huggingface", "token")
}

func tokenIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestToken+1))
	if err != nil {
		return ""
	}
	return cleanToken(string(text))
}

// cleanToken returns "" for what can't be a token, and would break the header.
func cleanToken(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > longestToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return text
}
