package app

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/adrg/xdg"
	"github.com/stretchr/testify/require"

	"samovar/app/paths"
	"samovar/engine/infer"
	"samovar/server/control"
)

// openedPages is a window that notes what it is asked for.
type openedPages struct {
	pages []string
	err   error
}

func (w *openedPages) Open(page string) error {
	w.pages = append(w.pages, page)
	return w.err
}

// deskHere returns the desktop of a data folder and a home of its own.
func deskHere(t *testing.T, env map[string]string) *desktop {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	xdg.Reload()
	t.Cleanup(xdg.Reload)
	where, err := paths.In(filepath.Join(t.TempDir(), "data"))
	require.NoError(t, err)
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return newDesktop(Process{LookupEnv: lookup}, invocation{}, where, "http://127.0.0.1:1")
}

func TestDesktopOpensPages(t *testing.T) {
	d := deskHere(t, nil)
	require.False(t, d.Desktop().MenuBar)
	err := d.Open("/models")
	require.Equal(t, infer.CodeConflict, infer.CodeOf(err))
	require.ErrorContains(t, err, "http://127.0.0.1:1")

	w := &openedPages{}
	d.has(w)
	require.True(t, d.Desktop().MenuBar)
	require.True(t, d.Desktop().Window)
	for _, page := range []string{"", "/welcome", "/models?pull=owner/repo:q4_k_m", "/agents/a%2Fb"} {
		require.NoError(t, d.Open(page))
	}
	for _, page := range []string{"/nowhere", "https://evil.example", "//", "/agents/<"} {
		require.Equal(t, infer.CodeInvalid, infer.CodeOf(d.Open(page)), page)
	}
	require.Equal(t, []string{"", "/welcome", "/models?pull=owner/repo:q4_k_m", "/agents/a%2Fb"}, w.pages)
	w.err = errors.New("there is no display")
	require.Equal(t, infer.CodeConflict, infer.CodeOf(d.Open("")))
	d.has(nil)
	require.False(t, d.Desktop().Window, "a menu bar without a window")
	require.Error(t, d.Open(""))
}

func TestDesktopWelcomesOnce(t *testing.T) {
	d := deskHere(t, nil)
	for _, welcome := range []bool{true, false, false} {
		require.Equal(t, welcome, d.Desktop().Welcome)
		require.NoError(t, d.Welcomed())
	}
	d.welcomed = filepath.Join(d.welcomed, "below a file")
	require.Equal(t, infer.CodeConflict, infer.CodeOf(d.Welcomed()))
}

func TestDesktopStartsAtLogin(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a Mac's launchd is not to be told of a test")
	}
	dir := filepath.Join(t.TempDir(), "a folder")
	d := deskHere(t, map[string]string{"SAMOVAR_DATA_DIR": dir})
	require.Error(t, d.SetLogin(t.Context(), true))
	require.NotEmpty(t, d.Desktop().Login.Why, "it has no menu bar")
	d.has(nil)
	require.Equal(t, control.LoginView{Supported: true}, d.Desktop().Login)
	require.NoError(t, d.SetLogin(t.Context(), true))
	require.True(t, d.Desktop().Login.Enabled)
	raw, err := os.ReadFile(d.item.Path())
	require.NoError(t, err)
	require.Contains(t, string(raw), `"--data-dir" "`+dir+`"`)
	require.NoError(t, d.SetLogin(t.Context(), false))
	require.False(t, d.Desktop().Login.Enabled)

	require.NoError(t, os.MkdirAll(d.item.Path(), 0o700))
	v := d.Desktop().Login
	require.False(t, v.Supported)
	require.Contains(t, v.Why, d.item.Path())
}
