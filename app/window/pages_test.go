package window

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page has the last word on which pages there are, and in which order.
func TestPagesAreTheDashboards(t *testing.T) {
	raw, err := os.ReadFile("../../frontend/src/App.svelte")
	require.NoError(t, err)
	var there []struct{ ID, Title string }
	for _, m := range regexp.MustCompile(`\{ id: '(\w+)', title: '([^']+)', page:`).FindAllStringSubmatch(string(raw), -1) {
		if m[1] != welcome {
			there = append(there, struct{ ID, Title string }{m[1], m[2]})
		}
	}
	require.Equal(t, there, Pages)
}

func TestValidPage(t *testing.T) {
	for _, page := range []string{"/overview", "/welcome", "/agents/one", "/agents/a%2Fb", "/models?pull=owner/repo:q4_k_m", "/try/"} {
		require.True(t, ValidPage(page), page)
	}
	for _, page := range []string{"", "/", "overview", "/nowhere", "/agentsx", "//agents", "/agents/a b", "/agents/\"", "/agents/'", "/agents/<", "/agents/\\", "/agents/\n", "/agents#x", "https://example.com"} {
		require.False(t, ValidPage(page), page)
	}
}
