package window

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSecondWindowHandsItsPageOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first, err := claim(dir, "/overview")
	require.NoError(t, err)
	asked := make(chan string, 10)
	first.serve(func(page string) { asked <- page })
	for _, page := range []string{"/logs", "", "/agents/one"} {
		_, err = claim(dir, page)
		require.ErrorIs(t, err, errHandedOver)
		require.Equal(t, page, <-asked)
	}
	first.release()
	second, err := claim(dir, "/overview")
	require.NoError(t, err, "the first is gone")
	second.serve(func(page string) { asked <- page })
	second.release()
	require.Empty(t, asked)

	other, err := claim(filepath.Join(t.TempDir(), "other"), "/overview")
	require.NoError(t, err, "another data folder has its own")
	other.release()
	info, err := os.Stat(filepath.Join(dir, "window.pipe"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// One that is asked for while the last is closing is not lost with it.
func TestAWindowThatIsClosingHandsTheRoleOver(t *testing.T) {
	dir := t.TempDir()
	first, err := claim(dir, "/overview")
	require.NoError(t, err) // it reads its pipe no more
	claimed := make(chan error, 1)
	go func() {
		second, err := claim(dir, "/logs")
		if err == nil {
			second.release()
		}
		claimed <- err
	}()
	line := make([]byte, 100)
	n, err := first.pipe.Read(line) // the second has begun
	require.NoError(t, err)
	require.JSONEq(t, `{"show":"/logs"}`, string(line[:n]))
	first.release()
	select {
	case err := <-claimed:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the second waits for ever")
	}
}

func TestReadPages(t *testing.T) {
	var got []string
	in := `{"show":"/logs"}
nonsense
{"show":5}
{"show":"/nowhere"}
{"show":"/agents/\"onclick"}

{"show":""}
{"show":"/pool"}
{"show":"/models"}`
	readPages(bufio.NewScanner(strings.NewReader(in)), func(page string) bool {
		got = append(got, page)
		return page != "/pool"
	})
	require.Equal(t, []string{"/logs", "", "/pool"}, got)
}
