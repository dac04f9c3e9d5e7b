package app

import (
	"bytes"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/instance"
	"samovar/app/paths"
	"samovar/app/window"
)

func TestWithoutAWindowTheBrowserIsNamed(t *testing.T) {
	if window.Supported {
		t.Skip("this build has a window")
	}
	dir := t.TempDir()
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Process{Args: append(args, "--data-dir", dir), Stdout: &out, Stderr: &errs, LookupEnv: env(map[string]string{"SAMOVAR_ADDR": "127.0.0.1:5"})})
		require.Empty(t, out.String())
		return code, errs.String()
	}
	code, said := run("window")
	require.Equal(t, exitWindow, code)
	require.Equal(t, "samovar: this build has no window; while Samovar runs, its dashboard is at http://127.0.0.1:5 in a browser\n", said)
	where, err := paths.In(dir)
	require.NoError(t, err)
	require.NoError(t, instance.Write(where.InstanceFile(), instance.Record{PID: 1, Addr: net.JoinHostPort("::", "7")}))
	_, said = run("window", "--page", "/models")
	require.Contains(t, said, "http://127.0.0.1:7 in a browser")
	code, said = run("window", "--page", "/nowhere")
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, "/nowhere")
}

func TestOtherProcessesUseTheSameFolder(t *testing.T) {
	require.Empty(t, sameFolder(invocation{}), "the environment is theirs, too")
	abs, err := filepath.Abs("d")
	require.NoError(t, err)
	require.Equal(t, []string{"--data-dir", abs}, sameFolder(invocation{flags: map[string]string{"data-dir": "d"}}))
}
