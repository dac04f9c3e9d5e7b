package ui

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/tests/samovartest"
)

var built samovartest.Built

// patience bounds every run of a script.
const patience = 5 * time.Minute

func TestMain(m *testing.M) { samovartest.Main(m, &built) }

// frontend is the dashboard's folder.
func frontend(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../frontend")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "dist", "page", "index.html"), "make page builds it")
	return dir
}

// in runs a command in the dashboard's folder.
func in(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	within(t, patience, dir, env, name, args...)
}

// within is in for a command that may take another time.
func within(t *testing.T, most time.Duration, dir string, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

func TestLogic(t *testing.T) {
	in(t, frontend(t), nil, "npm", "run", "--silent", "check")
	in(t, frontend(t), nil, "npm", "test", "--silent")
}

// Every page and action, and pictures of all pages, in frontend/test-output/screenshots.
func TestPages(t *testing.T) {
	browser := browserOf(t)
	base := samovartest.Serve(t, built, "ready", "--models", "shape-tiny")
	env := []string{"SAMOVAR_BASE=" + base, "CHROMIUM=" + browser}
	in(t, frontend(t), env, "npm", "run", "--silent", "test:pages")
	in(t, frontend(t), env, "npm", "run", "--silent", "screenshots")
}

// What the page holds does not grow with the time that it is open.
func TestSoak(t *testing.T) {
	browser := browserOf(t)
	most := patience
	if text := os.Getenv("SAMOVAR_SOAK"); text != "" {
		soak, err := time.ParseDuration(text)
		require.NoError(t, err, "SAMOVAR_SOAK")
		most += soak * 3 / 2 // a look at the page takes its time, too
	}
	base := samovartest.Serve(t, built, "ready")
	within(t, most, frontend(t), []string{"SAMOVAR_BASE=" + base, "CHROMIUM=" + browser}, "npm", "run", "--silent", "test:soak")
}

// A newcomer is served within two clicks and five seconds; links ask first.
func TestWelcome(t *testing.T) {
	browser := browserOf(t)
	in(t, frontend(t), []string{"SAMOVAR_BIN=" + filepath.Join(built.Dir, "samovar"), "SAMOVAR_LIB_DIR=" + built.Libs, "CHROMIUM=" + browser}, "npm", "run", "--silent", "test:welcome")
}

// browserOf finds Chromium, or another browser of its kind.
func browserOf(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "there is no browser", "`make browser` installs Chromium; CHROMIUM names another one")
	return ""
}
