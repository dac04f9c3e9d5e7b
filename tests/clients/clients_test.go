package clients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/tests/samovartest"
)

// patience bounds every wait. It is long: it ends only what has failed.
const patience = 90 * time.Second

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers, and fetches the clients the first time")
	}
	install(t)
	built, err := samovartest.Build(t.TempDir(), false)
	require.NoError(t, err)
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	require.NoError(t, os.WriteFile(broken, []byte("GGUF and no more"), 0o600))
	guide := samovartest.Serve(t, built, "ready")
	endless := samovartest.Serve(t, built, "ready", "--shape", "tiny")
	failed := samovartest.Serve(t, built, "failed", "--model", broken)
	// What the README tells people to set.
	env := []string{
		"SAMOVAR_GUIDE=" + guide, "SAMOVAR_ENDLESS=" + endless, "SAMOVAR_FAILED=" + failed,
		"OPENAI_BASE_URL=" + guide + "/v1", "OPENAI_API_KEY=local",
		"ANTHROPIC_BASE_URL=" + guide, "ANTHROPIC_AUTH_TOKEN=local",
	}
	t.Run("curl", func(t *testing.T) { readmeCommands(t, guide) })
	t.Run("dashboard", func(t *testing.T) { dashboardSnippets(t, guide) })
	for _, script := range []string{"openai", "anthropic", "ai"} {
		t.Run(script, func(t *testing.T) {
			out, err := run(t, env, "node", "--test-reporter=spec", filepath.Join("scripts", script+".mjs"))
			require.NoError(t, err, "%s", out)
			require.Regexp(t, `(?m)^\S pass [1-9]`, out, "the script tested nothing")
		})
	}
}

// run runs a client with nothing of the tester's own settings.
func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1"}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// curlCommand is one in the README, over as many lines as it takes.
var curlCommand = regexp.MustCompile(`(?m)^curl (?:.*\\\n)*.*$`)

// readmeCommands runs the README's requests, word for word but for the port,
// and streamed as it says.
func readmeCommands(t *testing.T, base string) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	commands := curlCommand.FindAllString(string(readme), -1)
	require.GreaterOrEqual(t, len(commands), 2)
	_, port, _ := strings.Cut(strings.TrimPrefix(base, "http://"), ":")
	dir := t.TempDir()
	for _, command := range commands {
		require.Contains(t, command, "localhost:7266")
		command = strings.ReplaceAll(command, "localhost:7266", "localhost:"+port)
		out, err := run(t, nil, "sh", "-c", "cd '"+dir+"' && "+command)
		require.NoError(t, err, "%s\n%s", command, out)
		if !strings.Contains(command, "/v1/chat/completions") && !strings.Contains(command, "/v1/messages") {
			require.NotContains(t, out, `"error"`, command)
			continue
		}
		answers(t, command, out)

		if !strings.Contains(command, `-d '{`) {
			continue
		}
		streamed := strings.Replace(command, `-d '{`, `-d '{"stream":true,`, 1)
		require.NotEqual(t, command, streamed)
		out, err = run(t, nil, "sh", "-c", streamed)
		require.NoError(t, err, "%s\n%s", streamed, out)
		// Its beginning, some text (a short answer may come at once), its end, and [DONE].
		require.GreaterOrEqual(t, strings.Count("\n"+out, "\ndata: "), 4, "%s", out)
		require.NotContains(t, out, `"error"`)
	}
}

func answers(t *testing.T, command, out string) {
	t.Helper()
	var answer struct {
		Choices []struct {
			Message struct{ Content string }
		}
		Content []struct{ Text string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer), "%s", out)
	var text string
	if strings.Contains(command, "/v1/messages") {
		require.Len(t, answer.Content, 1, "%s", out)
		text = answer.Content[0].Text
	} else {
		require.Len(t, answer.Choices, 1, "%s", out)
		text = answer.Choices[0].Message.Content
	}
	require.NotEmpty(t, text)
	if strings.Contains(command, "How do I connect Claude Code") {
		require.Contains(t, text, "ANTHROPIC_BASE_URL")
	}
}
