package browser_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/browser"
)

// opener puts a program in the way of the system's, which notes what it is to open and
// ends with a code.
func opener(t *testing.T, code string) (noted string) {
	t.Helper()
	if runtime.GOOS == "darwin" {
		t.Skip("its opener has a fixed path")
	}
	dir := t.TempDir()
	noted = filepath.Join(dir, "noted")
	script := "#!/bin/sh\nprintf '%s|' \"$@\" > '" + noted + "'\nexit " + code + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o700))
	t.Setenv("PATH", dir)
	return noted
}

func TestWhatIsOpened(t *testing.T) {
	noted := opener(t, "0")
	require.NoError(t, browser.OpenURL("http://127.0.0.1:7266/#/models"))
	got, err := os.ReadFile(noted)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:7266/#/models|", string(got))
	require.NoError(t, browser.OpenFile("/a file; rm -rf"))
	got, err = os.ReadFile(noted)
	require.NoError(t, err)
	require.Equal(t, "/a file; rm -rf|", string(got))
}

func TestWhatIsNotOpened(t *testing.T) {
	noted := opener(t, "0")
	for _, bad := range []string{"", "file:///etc/passwd", "javascript:alert(1)", "-h", "http://", "samovar://pull/a/b", "http://a b"} {
		require.Error(t, browser.OpenURL(bad), bad)
	}
	require.Error(t, browser.OpenFile("relative"))
	require.Error(t, browser.OpenFile("--help"))
	require.NoFileExists(t, noted)
}

func TestFailuresAreTold(t *testing.T) {
	opener(t, "3")
	require.ErrorContains(t, browser.OpenURL("http://localhost"), "3")
	t.Setenv("PATH", t.TempDir())
	require.ErrorIs(t, browser.OpenURL("http://localhost"), browser.ErrNone)
}
