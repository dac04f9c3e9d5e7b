package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"howett.net/plist"
)

func readDict(file string) (map[string]any, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dict, _, err := normalise(raw)
	return dict, err
}

func TestInfoPlistIsLinted(t *testing.T) {
	filled, err := fillInfo("../darwin/Info.plist", "v1.2.3")
	require.NoError(t, err)
	require.NotContains(t, string(filled.xml), "<!--")
	require.NotContains(t, string(filled.xml), "{{")
	good, _, err := normalise(filled.xml)
	require.NoError(t, err)
	require.NoError(t, lintInfo(good))

	for key := range infoRules {
		without := maps.Clone(good)
		delete(without, key)
		require.ErrorContains(t, lintInfo(without), key)
	}
	for key, wrong := range map[string]any{
		"CFBundleIdentifier":         "com.wails.samovar",
		"LSUIElement":                "1",
		"NSHighResolutionCapable":    "true",
		"CFBundleShortVersionString": "v1.2.3-4-gabc",
		"LSMinimumSystemVersion":     14.0,
		"NSAppTransportSecurity":     map[string]any{"NSAllowsArbitraryLoads": true},
		"CFBundleURLTypes":           []any{map[string]any{"CFBundleURLSchemes": []any{"http"}}},
		"LSUIElment":                 true,
	} {
		changed := maps.Clone(good)
		changed[key] = wrong
		require.ErrorContains(t, lintInfo(changed), key)
	}
}

// Only XML: codesign and older tools read nothing else everywhere.
func TestPropertyListsAreXML(t *testing.T) {
	for _, format := range []int{plist.BinaryFormat, plist.OpenStepFormat} {
		raw, err := plist.Marshal(map[string]any{"a": "b"}, format)
		require.NoError(t, err)
		_, _, err = normalise(raw)
		require.ErrorContains(t, err, "not XML")
	}
	_, _, err := normalise([]byte("<plist><dict><key>a</key></plist>"))
	require.Error(t, err)
}

// The kernel's parser of entitlements refuses comments, so there must be none.
func TestEngineRights(t *testing.T) {
	xml, err := readRights("../darwin/engine.entitlements")
	require.NoError(t, err)
	require.NotContains(t, string(xml), "<!--")
	dict, _, err := normalise(xml)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"com.apple.security.cs.disable-library-validation": true}, dict)

	file := filepath.Join(t.TempDir(), "x.entitlements")
	wrong, err := plist.Marshal(map[string]any{"com.apple.security.cs.allow-jit": "yes"}, plist.XMLFormat)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, wrong, 0o600))
	_, err = readRights(file)
	require.ErrorContains(t, err, "allow-jit is yes")
}

func TestThreeNumbers(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v0.10.0-4-gabcdef-dirty": "0.10.0", "v1.2.3-rc1": "1.2.3",
		"abcdef1": "0.0.0", "dev": "0.0.0", "": "0.0.0", "v1.2": "0.0.0", "12.3.4.5x": "12.3.4",
	} {
		require.Equal(t, want, threeNumbers(version), version)
	}
}

// The Makefile builds for the macOS that Info.plist promises.
func TestMakefileBuildsForThePromisedSystem(t *testing.T) {
	filled, err := fillInfo("../darwin/Info.plist", "dev")
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^MACOS_MIN := (\S+)$`).FindSubmatch(makefile)
	require.NotNil(t, found)
	require.Equal(t, filled.minOS, string(found[1]))
}
