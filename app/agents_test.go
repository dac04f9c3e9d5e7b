package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oneAgent is what the API says of one.
const oneAgent = `{"object":"agent","id":"a/b c","tool":"opencode","tier":"warm","pinned":true,"tokens":12345,"hot_tokens":0,
"warm_tokens":12300,"bytes":2097152,"resume_ms":61500,"requests":4,"hit_rate":0.756,"cached_tokens":9000,"saved_ms":2500,"written_bytes":1024,
"created_at":"2026-03-01T12:00:00Z","last_used_at":"2026-03-01T13:00:00Z","last_miss":{"text":"It became another."}}`

// asked is a request that a served API was asked.
type asked struct{ method, path, body string }

// serveAgents answers every request with what answers has for it, or with oneAgent, and
// notes them.
func serveAgents(t *testing.T, answers map[string]string) (addr string, got func() asked) {
	t.Helper()
	seen := make(chan asked, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- asked{r.Method, r.RequestURI, string(body)}
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			answer = oneAgent
		}
		if strings.HasPrefix(answer, "404 ") {
			w.WriteHeader(http.StatusNotFound)
			answer = answer[4:]
		}
		if strings.HasPrefix(answer, "cut ") {
			w.Header().Set("Content-Length", "1000")
			answer = answer[4:]
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://"), func() asked { return <-seen }
}

// runAgents runs an agents command.
func runAgents(t *testing.T, addr string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), Process{Args: append([]string{"agents"}, args...), Stdout: &out, Stderr: &errs,
		LookupEnv: env(map[string]string{"SAMOVAR_ADDR": addr, "SAMOVAR_DATA_DIR": t.TempDir()})})
	return code, out.String(), errs.String()
}

func TestAgentsCommandsAskTheAPI(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "in.tar")
	require.NoError(t, os.WriteFile(archive, []byte("an archive"), 0o600))
	addr, got := serveAgents(t, map[string]string{
		"GET /v1/agents":        `{"object":"list","data":[]}`,
		"DELETE /v1/agents/one": `{"id":"one","deleted":true,"freed_bytes":3072}`,
	})
	for _, c := range []struct {
		args []string
		want asked
		says string
	}{
		{nil, asked{"GET", "/v1/agents", ""}, "Nobody has come yet"},
		{[]string{"list"}, asked{"GET", "/v1/agents", ""}, "Nobody has come yet"},
		{[]string{"show", "a/b c"}, asked{"GET", "/v1/agents/a%2Fb%20c", ""}, "a/b c"},
		{[]string{"show", "50%41"}, asked{"GET", "/v1/agents/50%2541", ""}, "warm"},
		{[]string{"pin", "one"}, asked{"POST", "/v1/agents/one/pin", ""}, "warm"},
		{[]string{"unpin", "one"}, asked{"DELETE", "/v1/agents/one/pin", ""}, "warm"},
		{[]string{"evict", "one"}, asked{"DELETE", "/v1/agents/one?evict_only=true", ""}, "one"},
		{[]string{"forget", "one"}, asked{"DELETE", "/v1/agents/one", ""}, "one is forgotten, which freed 3.0 KiB on disk"},
		{[]string{"fork", "one", `a "b"`}, asked{"POST", "/v1/agents/one/fork", `{"id":"a \"b\""}`}, "warm"},
		{[]string{"import", archive}, asked{"POST", "/v1/agents/import", "an archive"}, "warm"},
		{[]string{"import", archive, "a&b"}, asked{"POST", "/v1/agents/import?id=a%26b", "an archive"}, "warm"},
	} {
		code, out, errs := runAgents(t, addr, c.args...)
		require.Equal(t, exitOK, code, "%v: %s", c.args, errs)
		require.Empty(t, errs)
		require.Equal(t, c.want, got(), "%v", c.args)
		require.Contains(t, out, c.says, "%v", c.args)

		code, out, _ = runAgents(t, addr, append(c.args, "--json")...)
		require.Equal(t, exitOK, code, "%v", c.args)
		require.True(t, json.Valid([]byte(out)), "%v: %s", c.args, out)
		got()
	}
}

func TestAnAgentInWords(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printAgent(&out, []byte(oneAgent), false))
	for _, part := range []string{
		"a/b c", "opencode", "true", "12345 tokens; 0 in the pool, 12300 on disk (2.0 MiB)", "about 1m2s",
		"4, which reused 76 % of their prompts (9000 tokens)", "2.5 s of prefill for 1.0 KiB written", "It became another.",
	} {
		require.Contains(t, out.String(), part)
	}

	out.Reset()
	now := time.Date(2026, 3, 1, 13, 5, 0, 0, time.UTC)
	require.NoError(t, printAgents(&out, []byte(fmt.Sprintf(`{"data":[%s,{"id":"new","tier":"cold"}]}`, oneAgent)), false, now))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, []string{"a/b c (pinned)", "opencode", "warm", "12,345", "2.0 MiB", "1m2s", "76 %", "2.5 s", "5 minutes ago"}, columns(lines[1]))
	require.Equal(t, []string{"new", "-", "cold", "0", "0 B"}, columns(lines[2])[:5])
	require.Len(t, columns(lines[0]), 9)
}

// columns splits a line of a table.
func columns(line string) []string {
	var all []string
	for _, c := range strings.Split(line, "  ") {
		if c = strings.TrimSpace(c); c != "" {
			all = append(all, c)
		}
	}
	return all
}

func TestAnExportAppearsWholeOrNotAtAll(t *testing.T) {
	addr, _ := serveAgents(t, map[string]string{
		"GET /v1/agents/one/export":    "the archive",
		"GET /v1/agents/cut/export":    "cut the arch",
		"GET /v1/agents/nobody/export": `404 {"error":{"message":"There is no agent \"nobody\"."}}`,
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "one.tar")
	code, out, errs := runAgents(t, addr, "export", "one", file)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, file+" (11 B)")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "the archive", string(data))

	code, out, _ = runAgents(t, addr, "export", "one", file, "--json")
	require.Equal(t, exitOK, code)
	require.JSONEq(t, fmt.Sprintf(`{"id":"one","file":%q,"bytes":11}`, file), out)

	code, _, errs = runAgents(t, addr, "export", "cut", file)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "cannot write the export")
	code, _, errs = runAgents(t, addr, "export", "nobody", file)
	require.Equal(t, exitFailed, code)
	require.Equal(t, "samovar: There is no agent \"nobody\"\n", errs)
	code, _, errs = runAgents(t, addr, "export", "one", filepath.Join(dir, "nowhere", "one.tar"))
	require.Equal(t, exitUsage, code, errs)

	data, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "the archive", string(data), "what there was is left alone")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing unfinished is left")
}

func TestAgentsCommandsThatCannotBe(t *testing.T) {
	addr, _ := serveAgents(t, map[string]string{"GET /v1/agents/nobody": `404 no JSON`})
	code, _, errs := runAgents(t, addr, "show", "nobody")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "404")
	code, _, errs = runAgents(t, addr, "import", filepath.Join(t.TempDir(), "nothing"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "cannot read the export")

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	code, out, errs := runAgents(t, strings.TrimPrefix(gone.URL, "http://"))
	require.Equal(t, exitFailed, code)
	require.Empty(t, out)
	require.Contains(t, errs, "no samovar answers at "+gone.URL)
	require.Contains(t, errs, "samovar serve")
	require.NotContains(t, strings.TrimSpace(errs), "\n")
}
