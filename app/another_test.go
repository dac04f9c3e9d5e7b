package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/instance"
	"samovar/app/link"
	"samovar/app/paths"
	"samovar/app/window"
)

// elsewhere is a Samovar that serves from a data folder, as another process sees it.
func elsewhere(t *testing.T, where paths.Paths, r instance.Record, hasWindow bool) (pages *[]string) {
	t.Helper()
	pages = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.Method + " " + req.URL.Path {
		case "GET /health/live":
		case "POST /samovar/v1/desktop/open":
			if !hasWindow {
				w.WriteHeader(http.StatusConflict)
				return
			}
			var asked struct{ Page string }
			if json.NewDecoder(req.Body).Decode(&asked) == nil {
				*pages = append(*pages, asked.Page)
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	r.Addr = strings.TrimPrefix(s.URL, "http://")
	require.NoError(t, instance.Write(where.InstanceFile(), r))
	return pages
}

func TestALinkShowsAPageOfTheOneThatRuns(t *testing.T) {
	dir := t.TempDir()
	where, err := paths.In(dir)
	require.NoError(t, err)
	pages := elsewhere(t, where, instance.Record{PID: os.Getpid(), Tray: true}, true)
	open := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Process{Args: append(append([]string{"open"}, args...), "--data-dir", dir), Stdout: &out, Stderr: &errs, LookupEnv: env(nil)})
		require.Empty(t, out.String())
		return code, errs.String()
	}
	for _, l := range []string{"samovar://pull/owner/repo:q8_0", "samovar://open/agents/a%2Fb", "samovar://open/welcome"} {
		code, said := open(l)
		require.Equal(t, exitOK, code, said)
	}
	require.Equal(t, []string{"/models?pull=owner/repo:Q8_0", "/agents/a%2Fb", "/welcome"}, *pages)
	for _, wrong := range []string{"https://evil.example", "samovar://open/nowhere", "samovar://pull/x", "/overview"} {
		code, said := open(wrong)
		require.Equal(t, exitUsage, code, said)
	}
	require.Len(t, *pages, 3)
	code, _ := open()
	require.Equal(t, exitOK, code)
	require.Equal(t, "", (*pages)[3], "what was shown last")
	if hasMenuBar {
		return // it would start one
	}
	require.NoError(t, instance.Remove(where.InstanceFile()))
	code, said := open("samovar://open/models")
	require.Equal(t, exitFailed, code)
	require.Contains(t, said, "samovar serve")
}

// Whatever a link may say, the page is one that the window takes.
func TestLinksMeanPages(t *testing.T) {
	for _, l := range []link.Link{{Pull: "Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M"}, {Page: "agents", Agent: `a/b c?d=#"<>'\` + "€"}, {Page: "settings"}} {
		require.True(t, window.ValidPage(l.Path()), l.Path())
	}
}

// Settings that are wrong are no reason for a second menu bar.
func TestASecondStartWithWrongSettingsShowsTheFirst(t *testing.T) {
	dir := t.TempDir()
	where, err := paths.In(dir)
	require.NoError(t, err)
	pages := elsewhere(t, where, instance.Record{PID: os.Getpid(), Tray: true}, true)
	require.NoError(t, os.WriteFile(where.SettingsFile(), []byte("threads = 'many'\n"), 0o600))
	var errs bytes.Buffer
	require.Equal(t, exitOK, Run(t.Context(), Process{Args: []string{"--data-dir", dir}, Stdout: &errs, Stderr: &errs, LookupEnv: env(nil)}), &errs)
	require.Equal(t, []string{""}, *pages)
}

func TestAnotherIsOnlyOneThatAnswers(t *testing.T) {
	where, err := paths.In(t.TempDir())
	require.NoError(t, err)
	_, err = findAnother(t.Context(), where, 0, 0)
	require.Error(t, err)
	require.NoError(t, instance.Write(where.InstanceFile(), instance.Record{PID: 7, Addr: "127.0.0.1:1"}))
	_, err = findAnother(t.Context(), where, 0, 0)
	require.Error(t, err, "it was left over")
	held, err := where.Lock()
	require.NoError(t, err)
	elsewhere(t, where, instance.Record{PID: 7}, false)
	_, err = findAnother(t.Context(), where, 8, 0)
	require.Error(t, err, "another one has the folder by now")
	require.NotErrorIs(t, err, errGone)
	a, err := findAnother(t.Context(), where, 7, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "http://"+a.Addr, a.base)

	// One that is quitting has no record any more, but the folder, for as long as it saves.
	require.NoError(t, instance.Remove(where.InstanceFile()))
	time.AfterFunc(3*anotherPoll, func() { held.Close() })
	_, err = findAnother(t.Context(), where, 7, time.Minute)
	require.ErrorIs(t, err, errGone)
}
