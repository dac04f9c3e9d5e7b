package window

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBackgroundIsThePages(t *testing.T) {
	css, err := os.ReadFile("../../frontend/src/app.css")
	require.NoError(t, err)
	found := regexp.MustCompile(`--bg: #(\w{6});`).FindAllStringSubmatch(string(css), -1)
	require.Len(t, found, 2, "light, then dark")
	for i, dark := range []bool{false, true} {
		require.Equal(t, found[i][1], fmt.Sprintf("%x", background(dark)))
	}
}

func TestTheIconIsTheApps(t *testing.T) {
	app, err := os.ReadFile("../../build/linux/icons/hicolor/128x128/apps/samovar.png")
	require.NoError(t, err)
	ours, err := os.ReadFile("icon.png")
	require.NoError(t, err)
	require.Equal(t, app, ours)
}
