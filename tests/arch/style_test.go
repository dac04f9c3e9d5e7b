package arch

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vague are names that say nothing about what is inside, so anything ends up
// inside.
var vague = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "shared"}

func vagueNames(in tree) []string {
	var bad []string
	for _, at := range slices.Sorted(maps.Keys(in)) {
		for _, f := range in[at].files {
			if slices.Contains(vague, f.pkgName) || slices.Contains(vague, path.Base(at)) {
				bad = append(bad, fmt.Sprintf("%s: package %s; name it after what it knows", at, f.pkgName))
				break
			}
		}
	}
	return bad
}

// undocumented lists packages without a doc.go whose package comment opens with
// a paragraph of more than a line: what lives here, and what may not.
func undocumented(in tree) []string {
	var bad []string
	for _, at := range slices.Sorted(maps.Keys(in)) {
		i := slices.IndexFunc(in[at].files, func(f file) bool { return f.name == "doc.go" })
		if i < 0 {
			bad = append(bad, at+" has no doc.go")
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(in[at].files[i].doc), "\n\n")
		if !strings.Contains(first, "\n") {
			bad = append(bad, fmt.Sprintf("%s/doc.go tells a stranger too little: %q", at, first))
		}
	}
	return bad
}

const (
	roomy   = 500 // lines: above, it is mentioned
	tooLong = 700 // lines: above, it needs an entry in long
)

// long are the files that may be longer than tooLong, each with its reason.
var long = map[string]string{}

// overlong lists files above the limit, and entries of the list that are no
// longer needed.
func overlong(in tree, allowed map[string]string) (bad, notable []string) {
	needed := map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(in)) {
		for _, f := range in[at].files {
			name := path.Join(at, f.name)
			switch {
			case f.test || f.generated || f.lines <= roomy:
			case f.lines <= tooLong:
				notable = append(notable, fmt.Sprintf("%s has %d lines", name, f.lines))
			case allowed[name] != "":
				needed[name] = true
			default:
				bad = append(bad, fmt.Sprintf("%s has %d lines, more than %d: it holds more than one idea", name, f.lines, tooLong))
			}
		}
	}
	for name := range allowed {
		if !needed[name] {
			bad = append(bad, name+" is on the list of long files but isn't one")
		}
	}
	return bad, notable
}

func TestPackageNames(t *testing.T) { require.Empty(t, vagueNames(mustTree(t))) }

func TestEveryPackageIsDocumented(t *testing.T) { require.Empty(t, undocumented(mustTree(t))) }

func TestFileLength(t *testing.T) {
	bad, notable := overlong(mustTree(t), long)
	for _, line := range notable {
		t.Log(line)
	}
	require.Empty(t, bad)
}

func TestStyleRulesCatchViolations(t *testing.T) {
	one := func(at string, f file) tree { return tree{at: {path: at, files: []file{f}}} }
	const good = "Package kv knows which tokens\nare kept where.\n\nMore."

	require.NotEmpty(t, vagueNames(one("server/util", file{pkgName: "util"})))
	require.NotEmpty(t, vagueNames(one("engine/stuff", file{pkgName: "helpers"})))
	require.NotEmpty(t, vagueNames(one("engine/types", file{pkgName: "engine"})))
	require.Empty(t, vagueNames(one("engine/internal/kv", file{pkgName: "kv"})))
	require.Empty(t, vagueNames(one("engine/utility", file{pkgName: "utility"})))

	require.Empty(t, undocumented(one("kv", file{name: "doc.go", doc: good})))
	require.NotEmpty(t, undocumented(one("kv", file{name: "kv.go", doc: good})))
	require.NotEmpty(t, undocumented(one("kv", file{name: "doc.go"})))
	require.NotEmpty(t, undocumented(one("kv", file{name: "doc.go", doc: "Package kv keeps things.\n\nIt is\nlong after that."})))

	length := func(f file, allowed map[string]string) (bad, notable int) {
		b, n := overlong(one("kv", f), allowed)
		return len(b), len(n)
	}
	for _, test := range []struct {
		f            file
		allowed      map[string]string
		bad, notable int
	}{
		{f: file{name: "a.go", lines: 500}},
		{f: file{name: "a.go", lines: 501}, notable: 1},
		{f: file{name: "a.go", lines: 700}, notable: 1},
		{f: file{name: "a.go", lines: 701}, bad: 1},
		{f: file{name: "a.go", lines: 701}, allowed: map[string]string{"kv/a.go": "a table"}},
		{f: file{name: "a.go", lines: 701}, allowed: map[string]string{"kv/a.go": ""}, bad: 2},
		{f: file{name: "a.go", lines: 400}, allowed: map[string]string{"kv/a.go": "a table"}, bad: 1},
		{f: file{name: "a.go", lines: 9000, generated: true}},
		{f: file{name: "a_test.go", lines: 9000, test: true}},
	} {
		bad, notable := length(test.f, test.allowed)
		require.Equal(t, []int{test.bad, test.notable}, []int{bad, notable}, "%+v", test)
	}
}

// The reader itself: build tags, tests, generated code, and what it must skip.
func TestReadTree(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"main.go":                "package main\n\nimport _ \"samovar/app/tray\"\n",
		"main_test.go":           "package main_test\n\nimport _ \"fyne.io/systray\"\n",
		"app/tray/tray.go":       "// Code generated by hand. DO NOT EDIT.\n\n//go:build desktop && darwin\n\n// Package tray is only built for a desktop.\npackage tray\n",
		"node_modules/x/x.go":    "package x\n",
		"app/testdata/broken.go": "package nonsense(\n",
		"other/go.mod":           "module other\n",
		"other/other.go":         "package other\n",
		".git/hook.go":           "package hook\n",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(src), 0o644))
	}
	got, err := readTree(dir)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{".", "app/tray"}, slices.Collect(maps.Keys(got)))
	require.Equal(t, []string{"app/tray", "fyne.io/systray"}, got["."].imports(true))
	require.Equal(t, []string{"app/tray"}, got["."].imports(false))
	tray := got["app/tray"].files[0]
	require.Equal(t, "Package tray is only built for a desktop.\n", tray.doc)
	require.True(t, tray.generated)
	require.Equal(t, 6, tray.lines)
}
