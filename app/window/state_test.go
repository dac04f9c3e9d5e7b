package window

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStateComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "window.json")
	fresh, err := ReadState(path)
	require.NoError(t, err)
	require.Equal(t, State{Width: defaultWidth, Height: defaultHeight, Page: "/overview"}, fresh)
	for _, s := range []State{{X: 7, Y: 8, Placed: true, Width: 900, Height: 600, Page: "/logs"}, {Width: 800, Height: 500, Maximised: true, Page: "/agents/one"}} {
		require.NoError(t, s.Write(path))
		got, err := ReadState(path)
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
}

func TestStateThatMakesNoSenseIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "window.json")
	fresh, err := ReadState(path)
	require.NoError(t, err)
	for raw, want := range map[string]State{
		`{}`:                          fresh,
		`{"width":-5,"height":1000}`:  fresh,
		`{"page":"javascript:bad()"}`: fresh,
		`{"page":"/welcome"}`:         fresh, // shown once
	} {
		require.NoError(t, os.WriteFile(path, []byte(raw), 0o600))
		got, err := ReadState(path)
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{"", "[]", `{"width":"wide"}`, `{"width":1e99}`} {
		require.NoError(t, os.WriteFile(path, []byte(raw), 0o600))
		got, err := ReadState(path)
		require.ErrorContains(t, err, path, raw)
		require.Equal(t, fresh, got)
	}
}

func TestFit(t *testing.T) {
	cases := []struct {
		name          string
		was           State
		width, height int
		want          State
	}{
		{"it fits", State{X: 10, Y: 20, Placed: true, Width: 900, Height: 600}, 1920, 1080, State{X: 10, Y: 20, Placed: true, Width: 900, Height: 600}},
		{"a screen that is gone", State{X: 2500, Y: 1200, Placed: true, Width: 900, Height: 600}, 1920, 1080, State{X: 1020, Y: 480, Placed: true, Width: 900, Height: 600}},
		{"above and left of it", State{X: -300, Y: -1, Placed: true, Width: 900, Height: 600}, 1920, 1080, State{Placed: true, Width: 900, Height: 600}},
		{"larger than it", State{X: 5, Y: 5, Placed: true, Width: 3000, Height: 2000}, 1280, 800, State{Placed: true, Width: 1280, Height: 800}},
		{"too small", State{Width: 10, Height: 10}, 1280, 800, State{Width: minWidth, Height: minHeight}},
		{"a screen that is too small", State{Width: 900, Height: 600}, 640, 400, State{Width: 640, Height: 400}},
		{"an unknown screen", State{X: 5, Y: 5, Placed: true, Width: 900, Height: 600}, 0, 0, State{X: 5, Y: 5, Width: 900, Height: 600}},
	}
	for _, c := range cases {
		require.Equal(t, c.want, c.was.Fit(c.width, c.height), c.name)
	}
}
