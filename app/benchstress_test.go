package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// anyServer answers every chat completion the same way: with a status, or with
// one word if that is 200.
func anyServer(t *testing.T, status int) (url string, keys *[]string) {
	t.Helper()
	keys = &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			*keys = append(*keys, r.Header.Get("Authorization"))
			http.NotFound(w, r)
		case status != http.StatusOK:
			w.WriteHeader(status)
		default:
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"tea\"}}]}\n\ndata: [DONE]\n\n")
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, keys
}

func runStress(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), Process{
		Args: append([]string{"bench", "stress", "--quick", "--scenario", "burst"}, args...), Stdout: &out, Stderr: &errs,
		LookupEnv: env(map[string]string{"SAMOVAR_DATA_DIR": t.TempDir(), "OPENAI_API_KEY": "secret"}),
	})
	return code, out.String(), errs.String()
}

func TestBenchStressAgainstAnyServer(t *testing.T) {
	url, keys := anyServer(t, http.StatusOK)
	page := filepath.Join(t.TempDir(), "report.html")
	code, out, errs := runStress(t, "--url", url+"/v1", "--html", page)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "passed: all")
	require.NotContains(t, out, "secret")
	require.Contains(t, *keys, "Bearer secret")
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "<svg")
	require.NotContains(t, string(html), "secret")
}

func TestBenchStressFailsWithTheServer(t *testing.T) {
	url, _ := anyServer(t, http.StatusServiceUnavailable)
	code, out, errs := runStress(t, "--url", url, "--json")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "limits did not hold")
	var report struct {
		Passed  bool
		Results []struct {
			Scenario string
			All      struct{ Outcomes map[string]int }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.False(t, report.Passed)
	require.Equal(t, 60, report.Results[0].All.Outcomes["failed"])
}

func TestBenchStressRefusesAtOnce(t *testing.T) {
	for _, args := range [][]string{
		{"--scenario", "brust"},
		{"--url", "nowhere"},
		{"--url", "http://127.0.0.1:1", "--shape", "tiny"},
		{"--html", filepath.Join(t.TempDir(), "none", "report.html")},
	} {
		code, out, errs := runStress(t, args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errs)
		require.Empty(t, out)
	}
}
