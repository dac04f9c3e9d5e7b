package main

import (
	"debug/elf"
	"debug/macho"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// engineDir is build/engine, seen from this package.
const engineDir = ".."

func mustPins(t *testing.T) pins {
	t.Helper()
	pin, err := readPins(engineDir)
	require.NoError(t, err)
	return pin
}

// staged stages a platform's libraries from the installed package, once for
// all tests. It fails, and doesn't skip, where the package is not installed.
func staged(t *testing.T, p platform) (string, Manifest) {
	t.Helper()
	once, _ := stagings.LoadOrStore(p.name, &staging{})
	s := once.(*staging)
	s.once.Do(func() {
		var pl plan
		if pl, s.err = makePlan(engineDir, p, mustPins(t)); s.err != nil {
			return
		}
		s.manifest = pl.manifest
		s.dir = filepath.Join(stagingRoot, p.name)
		_, s.err = pl.stage(s.dir)
	})
	require.NoError(t, s.err, "the engine's libraries are needed: run `make setup`")
	return s.dir, s.manifest
}

type staging struct {
	once     sync.Once
	dir      string
	manifest Manifest
	err      error
}

var (
	stagings    sync.Map // platform name → *staging
	stagingRoot string   // set by TestMain
)

func forEachPlatform(t *testing.T, test func(t *testing.T, p platform)) {
	for _, p := range platforms {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// The binding opens libraries by short name and looks its symbols up in them;
// a symbol may also be in a library that the opened one depends on.
func TestEverySymbolOfTheBindingIsExported(t *testing.T) {
	wanted := symbols(t)
	total := 0
	for _, names := range wanted {
		total += len(names)
	}
	require.Equal(t, bindingSymbols, total)
	require.ElementsMatch(t, []string{"ggml", "ggml-base", "llama"}, keys(wanted))

	forEachPlatform(t, func(t *testing.T, p platform) {
		dir, _ := staged(t, p)
		for lib, names := range wanted {
			have := exportsWithDependencies(t, p, dir, p.short(lib), map[string]bool{})
			require.Greater(t, len(have), len(names))
			for _, name := range names {
				require.True(t, have[name], "%s does not export %s", p.short(lib), name)
			}
			require.False(t, have["llama_no_such_symbol"])
		}
	})
}

func exportsWithDependencies(t *testing.T, p platform, dir, file string, seen map[string]bool) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	if seen[file] {
		return have
	}
	seen[file] = true
	for _, name := range exports(t, p, filepath.Join(dir, file)) {
		have[name] = true
	}
	img, err := readImage(p, filepath.Join(dir, file))
	require.NoError(t, err)
	for _, dep := range img.needed {
		if base, ok := img.local(dep); ok {
			for name := range exportsWithDependencies(t, p, dir, base, seen) {
				have[name] = true
			}
		}
	}
	return have
}

// exports lists the defined, public symbols of one library.
func exports(t *testing.T, p platform, file string) []string {
	t.Helper()
	var names []string
	if p.goos == "darwin" {
		f, err := macho.Open(file)
		require.NoError(t, err)
		defer f.Close()
		const (
			stabs    = 0xe0 // N_STAB: debugging entries
			typeMask = 0x0e // N_TYPE; 0 is N_UNDF
			external = 0x01 // N_EXT
			private  = 0x10 // N_PEXT
		)
		for _, s := range f.Symtab.Syms {
			if s.Type&stabs == 0 && s.Type&typeMask != 0 && s.Type&external != 0 && s.Type&private == 0 {
				names = append(names, strings.TrimPrefix(s.Name, "_"))
			}
		}
		return names
	}
	f, err := elf.Open(file)
	require.NoError(t, err)
	defer f.Close()
	syms, err := f.DynamicSymbols()
	require.NoError(t, err)
	for _, s := range syms {
		bind, visibility := elf.ST_BIND(s.Info), elf.ST_VISIBILITY(s.Other)
		if s.Section != elf.SHN_UNDEF && bind != elf.STB_LOCAL && (visibility == elf.STV_DEFAULT || visibility == elf.STV_PROTECTED) {
			names = append(names, s.Name)
		}
	}
	return names
}

// What follows holds for the folder as it is staged: each library finds the
// others beside itself, by the names that they carry.
func TestLibrariesFindEachOther(t *testing.T) {
	forEachPlatform(t, func(t *testing.T, p platform) {
		dir, m := staged(t, p)
		names := map[string]bool{}
		for _, f := range m.Files {
			names[f.Name] = true
		}
		for _, f := range m.Files {
			if f.Name == licenceName {
				continue
			}
			img, err := readImage(p, filepath.Join(dir, f.Name))
			require.NoError(t, err)
			where := "$ORIGIN"
			if p.goos == "darwin" {
				where = "@loader_path"
				require.True(t, img.macOS, "%s is not built for macOS", f.Name)
				require.Equal(t, "14.0", img.minOS, "%s: the oldest macOS that we support", f.Name)
			}
			require.Equal(t, []string{where}, img.rpath, f.Name)
			// A backend is opened by path and has no name; a library that
			// others ask for must carry exactly the name they ask for.
			if backend := strings.HasPrefix(f.Name, "libggml-") && f.Name != p.short("ggml-base"); !backend {
				require.Equal(t, f.Name, strings.TrimPrefix(img.name, "@rpath/"))
			}
			for _, dep := range img.needed {
				base, local := img.local(dep)
				require.True(t, local && names[base] || !local && systemLibrary(p, dep), "%s needs %s", f.Name, dep)
			}
		}
	})
}

// The short names must be links: a copy would be a second image with its own
// registry of backends, empty.
func TestShortNamesAreLinks(t *testing.T) {
	forEachPlatform(t, func(t *testing.T, p platform) {
		dir, m := staged(t, p)
		require.Len(t, m.Links, 2)
		for _, lib := range []string{"ggml", "llama"} {
			real, err := filepath.EvalSymlinks(filepath.Join(dir, p.short(lib)))
			require.NoError(t, err)
			require.Equal(t, p.versioned(lib, m.LlamaCpp), filepath.Base(real))
			require.NotEqual(t, p.short(lib), filepath.Base(real))
		}
	})
}

// Which backends a platform must have at the least.
func TestBackends(t *testing.T) {
	want := map[string][]string{
		"linux-x64":       {"libggml-cpu-x64.so", "libggml-cpu-haswell.so", "libggml-cpu-zen4.so"},
		"linux-arm64":     {"libggml-cpu-armv8.0_1.so", "libggml-cpu-armv8.2_2.so"},
		"mac-arm64-metal": {"libggml-metal.so", "libggml-cpu-apple_m1.so", "libggml-cpu-apple_m4.so"},
		"mac-x64":         {"libggml-cpu-x64.so", "libggml-cpu-haswell.so"},
	}
	forEachPlatform(t, func(t *testing.T, p platform) {
		_, m := staged(t, p)
		for _, name := range want[p.name] {
			require.True(t, slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name }), name)
		}
	})
}

// The oldest systems that the Linux libraries run on: Ubuntu 22.04 and Debian
// 12 have these. A bump that asks for more should be noticed here.
func TestLinuxBaseline(t *testing.T) {
	newest := map[string]string{"GLIBC": "2.34", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "9.0"}
	pattern := regexp.MustCompile(`^(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)$`)
	forEachPlatform(t, func(t *testing.T, p platform) {
		if p.goos != "linux" {
			return
		}
		dir, m := staged(t, p)
		checked := 0
		for _, file := range m.Files {
			if file.Name == licenceName {
				continue
			}
			f, err := elf.Open(filepath.Join(dir, file.Name))
			require.NoError(t, err)
			syms, err := f.ImportedSymbols()
			require.NoError(t, err)
			require.NoError(t, f.Close())
			for _, s := range syms {
				if match := pattern.FindStringSubmatch(s.Version); match != nil {
					checked++
					require.LessOrEqual(t, compareVersions(match[2], newest[match[1]]), 0, "%s needs %s for %s", file.Name, s.Version, s.Name)
				}
			}
		}
		require.Positive(t, checked)
	})
}

func compareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		out = append(out, n)
	}
	return out
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
