package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenFrom(t *testing.T) {
	home := t.TempDir()
	write := func(path, text string) string {
		path = filepath.Join(home, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	find := func(env map[string]string) string {
		return TokenFrom(func(name string) (string, bool) { value, ok := env[name]; return value, ok }, home)
	}
	require.Empty(t, find(nil))
	write(".cache/huggingface/token", "hf_usual\n")
	require.Equal(t, "hf_usual", find(nil))
	write("xdg/huggingface/token", "hf_xdg")
	require.Equal(t, "hf_xdg", find(map[string]string{"XDG_CACHE_HOME": filepath.Join(home, "xdg")}))
	write("hf/token", " hf_home \r\n")
	require.Equal(t, "hf_home", find(map[string]string{"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/none"}))
	require.Equal(t, "hf_home", find(map[string]string{"HF_HOME": "$WHERE/hf", "WHERE": home}))
	path := write("elsewhere", "hf_path")
	require.Equal(t, "hf_path", find(map[string]string{"HF_TOKEN_PATH": path, "HF_HOME": "~/hf"}))
	require.Empty(t, find(map[string]string{"HF_TOKEN_PATH": "/none"}), "a file that isn't there is no reason to look elsewhere")
	require.Equal(t, "hf_old", find(map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_old", "HF_TOKEN_PATH": path}))
	require.Equal(t, "hf_env", find(map[string]string{"HF_TOKEN": "hf_env", "HUGGING_FACE_HUB_TOKEN": "hf_old"}))
	require.Equal(t, "hf_old", find(map[string]string{"HF_TOKEN": " ", "HUGGING_FACE_HUB_TOKEN": "hf_old"}))

	write(".cache/huggingface/token", "two\nlines")
	require.Empty(t, find(nil), "it would break the header")
	write(".cache/huggingface/token", strings.Repeat("x", longestToken+1))
	require.Empty(t, find(nil))
}
