package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSigning(t *testing.T) {
	p := mustPlan(t, mac)
	commands := p.signing("/tmp/Samovar.app", "/tmp/engine.entitlements", adHoc)
	at := map[string]int{}
	for i, c := range commands {
		require.Equal(t, "codesign", c[0])
		at[c[len(c)-1]] = max(at[c[len(c)-1]], i)
		require.NotContains(t, c[1:len(c)-1], "--deep", "signing with --deep gives everything the same rights") // but the last, below
		if i == len(commands)-2 {
			break
		}
	}
	for _, e := range p.entries {
		full := "/tmp/Samovar.app/" + e.path
		switch e.kind {
		case library:
			i, ok := at[full]
			require.True(t, ok, "%s is not signed", e.path)
			require.Less(t, i, at["/tmp/Samovar.app/Contents/MacOS/samovar-engine"])
		case link, plain:
			require.NotContains(t, at, full)
		}
	}
	n := len(commands)
	require.Equal(t, "codesign --force --sign - --options runtime --timestamp=none --identifier io.samovar.Samovar.engine --entitlements /tmp/engine.entitlements /tmp/Samovar.app/Contents/MacOS/samovar-engine",
		strings.Join(commands[n-3], " "))
	require.Equal(t, "codesign --force --sign - --options runtime --timestamp=none /tmp/Samovar.app", strings.Join(commands[n-2], " "))
	require.Equal(t, "codesign --verify --deep --strict --verbose=2 /tmp/Samovar.app", strings.Join(commands[n-1], " "))

	for _, c := range p.signing("/a", "/r", "Developer ID Application: X")[:n-1] {
		require.True(t, slices.Contains(c, "--timestamp"), "notarising wants a time that is vouched for")
	}
}
