package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/paths"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestRunEndsWithTheDocumentedCode(t *testing.T) {
	cases := []struct {
		args []string
		want int
	}{
		{[]string{"version"}, exitOK},
		{[]string{"version", "--json"}, exitOK},
		{[]string{"--help"}, exitOK},
		{[]string{"frob"}, exitUsage},
		{[]string{"serve", "--addr", "0.0.0.0:1"}, exitUsage},
		{[]string{"serve", "--model", "/nonexistent/model.gguf"}, exitUsage},
	}
	for _, c := range cases {
		var out, errs bytes.Buffer
		got := Run(t.Context(), Process{Args: c.args, Stdout: &out, Stderr: &errs, LookupEnv: env(map[string]string{"SAMOVAR_DATA_DIR": t.TempDir()})})
		require.Equal(t, c.want, got, "%v: %s", c.args, &errs)
		if c.want == exitOK {
			require.NotEmpty(t, out.String())
			require.Empty(t, errs.String())
		} else {
			require.Empty(t, out.String())
			require.Regexp(t, `^samovar: [^\n]+\n$`, errs.String())
		}
	}
}

func TestExitCodes(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("while serving: %w", err) }
	require.Equal(t, exitOK, exitCode(nil))
	require.Equal(t, exitUsage, exitCode(wrapped(usageError{fs.ErrNotExist})))
	require.Equal(t, exitAddress, exitCode(wrapped(&listen.Error{})))
	require.Equal(t, exitLocked, exitCode(errors.Join(&paths.HeldError{}, nil)))
	require.Equal(t, exitFailed, exitCode(fs.ErrNotExist))
	require.Equal(t, exitWindow, exitCode(wrapped(noWindowError{})))
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitAddress, exitLocked, exitWindow} {
		require.Contains(t, exitHelp, fmt.Sprint(code, " "))
	}
}

func settingsIn(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "settings.toml"), []byte(content), 0o600))
	return dir
}

func TestSettingsFileOfTheDataFolderIsRead(t *testing.T) {
	dir := settingsIn(t, "threads = 3\naddr = '127.0.0.1:1'")
	for _, layers := range []struct {
		flags, vars map[string]string
	}{
		{map[string]string{"data-dir": dir, "addr": "127.0.0.1:2"}, nil},
		{map[string]string{"addr": "127.0.0.1:2"}, map[string]string{"SAMOVAR_DATA_DIR": dir, "SAMOVAR_ADDR": "127.0.0.1:3"}},
	} {
		s, where, err := resolve(layers.flags, env(layers.vars))
		require.NoError(t, err)
		require.Equal(t, 3, s.Threads)
		require.Equal(t, "127.0.0.1:2", s.Addr)
		require.Equal(t, filepath.Join(dir, "settings.toml"), where.SettingsFile())
	}
}

func TestSettingsFileCanMoveTheRest(t *testing.T) {
	elsewhere := t.TempDir()
	dir := settingsIn(t, fmt.Sprintf("data_dir = %q", elsewhere))
	s, where, err := resolve(map[string]string{"data-dir": dir}, env(nil))
	require.NoError(t, err)
	require.Equal(t, dir, s.DataDir, "the flag is stronger")
	require.Equal(t, filepath.Join(dir, "settings.toml"), where.SettingsFile())
}

func TestChooseModel(t *testing.T) {
	where, err := paths.In(t.TempDir())
	require.NoError(t, err)

	guide, err := chooseModel(t.Context(), config.Settings{Model: "guide"}, where, nil)
	require.NoError(t, err)
	require.Equal(t, "guide", guide.ID)
	path, err := guide.Prepare(t.Context(), func(float64) {})
	require.NoError(t, err)
	require.FileExists(t, path)

	shape, err := chooseModel(t.Context(), config.Settings{Shape: "tiny"}, where, nil)
	require.NoError(t, err)
	require.Equal(t, "shape-tiny", shape.ID)
	require.Contains(t, shape.Aliases, "tiny")
	furthest := 0.0
	made, err := shape.Prepare(t.Context(), func(part float64) { furthest = part })
	require.NoError(t, err)
	require.Equal(t, 1.0, furthest)

	file, err := chooseModel(t.Context(), config.Settings{Model: made}, where, nil)
	require.NoError(t, err)
	require.Equal(t, made, file.Path)
	require.Equal(t, "shape-tiny", file.ID)
	require.Equal(t, []string{"shape-tiny.gguf"}, file.Aliases)

	for name, s := range map[string]config.Settings{
		"no such shape": {Shape: "7t"}, "no such file": {Model: "/nonexistent/m.gguf"}, "a folder": {Model: t.TempDir()},
	} {
		_, err := chooseModel(t.Context(), s, where, nil)
		require.Error(t, err, name)
		require.Equal(t, exitUsage, exitCode(err), name)
	}
}

func TestTheGuideTakesOneThreadUnlessToldOtherwise(t *testing.T) {
	require.Equal(t, 1, tune(config.Settings{Model: "guide"}).Threads)
	require.Equal(t, 3, tune(config.Settings{Model: "guide", Threads: 3}).Threads)
	require.Zero(t, tune(config.Settings{Shape: "0.5b"}).Threads)
}

func TestReadTemplate(t *testing.T) {
	text, err := readTemplate("")
	require.NoError(t, err)
	require.Empty(t, text)
	path := filepath.Join(t.TempDir(), "t.jinja")
	require.NoError(t, os.WriteFile(path, []byte("{{ x }}"), 0o600))
	text, err = readTemplate(path)
	require.NoError(t, err)
	require.Equal(t, "{{ x }}", text)
	for _, bad := range []string{t.TempDir(), "/nonexistent"} {
		_, err = readTemplate(bad)
		require.Equal(t, exitUsage, exitCode(err))
	}
}

// TestTheEngineStopsAfterTheServer holds the order: streams need the engine
// until the server has finished them.
func TestTheEngineStopsAfterTheServer(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	engineEnded := make(chan struct{})
	serve := func(ctx context.Context) error {
		<-ctx.Done()
		select {
		case <-engineEnded:
			return errors.New("the engine was gone first")
		default:
			return nil
		}
	}
	run := func(ctx context.Context) error { <-ctx.Done(); close(engineEnded); return nil }
	stop()
	require.NoError(t, together(ctx, quiet, serve, run))

	broken := errors.New("broken")
	wait := func(ctx context.Context) error { <-ctx.Done(); return nil }
	fail := func(context.Context) error { return broken }
	require.ErrorIs(t, together(t.Context(), quiet, fail, wait), broken, "a server that ends ends the engine")
	require.ErrorIs(t, together(t.Context(), quiet, wait, fail), broken, "and the other way round")
}

func TestAddrFile(t *testing.T) {
	dir := t.TempDir()
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	path := filepath.Join(dir, "addr")
	require.NoError(t, writeAddrFile(path, addr))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:4711\n", string(got))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing else is left")

	require.Equal(t, exitUsage, exitCode(writeAddrFile(filepath.Join(dir, "none", "addr"), addr)))
	require.Equal(t, exitUsage, exitCode(writeAddrFile(dir, addr)))
}

func TestAnnouncement(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	var out bytes.Buffer
	announce(&out, newLogger(&out, false), config.Settings{StartAtLaunch: true}, invocation{bare: true}, "guide", addr)
	for _, part := range []string{"http://127.0.0.1:4711", "guide", "curl"} {
		require.Contains(t, out.String(), part)
	}
	require.Equal(t, !hasMenuBar, strings.Contains(out.String(), "no menu bar"))
	out.Reset()
	announce(&out, newLogger(&out, false), config.Settings{}, invocation{}, "guide", addr)
	require.Contains(t, out.String(), "samovar start")
	out.Reset()
	announce(&out, newLogger(&out, true), config.Settings{JSONLogs: true}, invocation{}, "guide", addr)
	require.Regexp(t, `^\{.*"addr":"127\.0\.0\.1:4711".*\}\n$`, out.String())
}
