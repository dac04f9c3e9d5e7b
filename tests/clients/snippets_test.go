package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

// snippet is one that the dashboard shows to connect a program.
type snippet struct{ ID, Language, Code string }

// dashboardSnippets tries what the dashboard tells people, word for word.
func dashboardSnippets(t *testing.T, base string) {
	frontend := filepath.Join("..", "..", "frontend")
	if _, err := os.Stat(filepath.Join(frontend, "node_modules", "typescript")); err != nil {
		t.Skip("the dashboard's own tools are not there; `make page` fetches them")
	}
	raw, err := exec.Command("node", filepath.Join(frontend, "tests", "snippets.mjs"), base, "guide").Output()
	require.NoError(t, err)
	var all []snippet
	require.NoError(t, json.Unmarshal(raw, &all))
	require.GreaterOrEqual(t, len(all), 9)
	for _, s := range all {
		t.Run(s.ID, func(t *testing.T) {
			require.Contains(t, s.Code, base)
			switch s.Language {
			case "sh":
				trySh(t, s)
			case "javascript":
				tryJavaScript(t, s.Code, nil)
			case "python":
				tryPython(t, s.Code)
			case "toml":
				var v map[string]any
				_, err := toml.Decode(s.Code, &v)
				require.NoError(t, err)
			case "json":
				require.True(t, json.Valid([]byte(s.Code)))
			default:
				t.Fatalf("nobody tries %s", s.Language)
			}
		})
	}
}

// trySh runs a snippet for a shell. One that sets variables is tried with a client that
// reads them; the client that one starts is not here, so that only what it is told counts.
func trySh(t *testing.T, s snippet) {
	code := s.Code
	switch {
	case strings.HasPrefix(code, "curl "):
		out, err := run(t, nil, "sh", "-c", code)
		require.NoError(t, err, out)
		require.Contains(t, out, `"guide"`)
		return
	case strings.HasPrefix(code, "export "):
		code += "\nenv"
	default: // VARIABLE=… program
		at := strings.LastIndexAny(code, " \n")
		code = code[:at+1] + "env"
	}
	out, err := run(t, nil, "sh", "-c", code)
	require.NoError(t, err, out)
	var env []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ANTHROPIC_") || strings.HasPrefix(line, "OPENAI_") {
			env = append(env, strings.TrimSpace(line))
		}
	}
	tryJavaScript(t, `import Anthropic from "@anthropic-ai/sdk";
const answer = await new Anthropic().messages.create({ model: "guide", max_tokens: 50, messages: [{ role: "user", content: "Hello" }] });
console.log(answer.content[0].text);`, env)
}

// tryJavaScript runs a module beside the clients that are installed here.
func tryJavaScript(t *testing.T, code string, env []string) {
	t.Helper()
	f, err := os.CreateTemp(".", "snippet-*.mjs")
	require.NoError(t, err)
	defer os.Remove(f.Name())
	_, err = f.WriteString(code)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	out, err := run(t, env, "node", f.Name())
	require.NoError(t, err, out)
	require.NotEmpty(t, strings.TrimSpace(out))
}

// tryPython runs a script if its client is here; else it is compiled only: nothing of ours
// is in Python, and an index of packages is not everywhere.
func tryPython(t *testing.T, code string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no Python")
	}
	if _, err := run(t, nil, python, "-c", "import openai, anthropic"); err != nil {
		out, err := run(t, nil, python, "-c", "import sys; compile(sys.argv[1], 'snippet', 'exec')", code)
		require.NoError(t, err, out)
		return
	}
	out, err := run(t, nil, python, "-c", code)
	require.NoError(t, err, out)
	require.NotEmpty(t, strings.TrimSpace(out))
}
