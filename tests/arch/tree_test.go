package arch

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "samovar"
	root   = "../.." // of the module, seen from this package
)

// A pkg is a folder with Go files. Paths are relative to the module: the root
// package is ".", the worker's main package "engine/samovar-engine"; an import
// of another module keeps its full path.
type pkg struct {
	path  string
	files []file
}

// A file is one Go source, of whatever build tags.
type file struct {
	name      string
	pkgName   string
	doc       string // the package comment in this file
	imports   []string
	lines     int
	test      bool
	generated bool
}

// tree is a module: its packages by path.
type tree map[string]*pkg

// imports lists what a package imports; of its tests only if asked to.
func (p *pkg) imports(tests bool) []string {
	seen := map[string]bool{}
	for _, f := range p.files {
		if f.test && !tests {
			continue
		}
		for _, i := range f.imports {
			seen[i] = i != p.path // an external test imports its own package
		}
	}
	var out []string
	for i, ok := range seen {
		if ok {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}

// readTree reads every Go file below dir that the go command would see under
// some combination of build tags.
func readTree(dir string) (tree, error) {
	found := tree{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && skipFolder(name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasPrefix(d.Name(), "_") || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		f, err := readFile(name)
		if err != nil {
			return err
		}
		at := path.Dir(filepath.ToSlash(rel))
		if found[at] == nil {
			found[at] = &pkg{path: at}
		}
		found[at].files = append(found[at].files, f)
		return nil
	})
	return found, err
}

func skipFolder(name, base string) bool {
	if base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil // another module
}

func readFile(name string) (file, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{
		name:      filepath.Base(name),
		pkgName:   strings.TrimSuffix(parsed.Name.Name, "_test"),
		doc:       parsed.Doc.Text(),
		lines:     countLines(src),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(parsed),
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, relative(imported))
	}
	return f, nil
}

// relative turns an import path of ours into a tree path.
func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	if rest, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return rest
	}
	return importPath
}

func countLines(src []byte) int {
	n := 0
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); n++ {
	}
	return n
}

func mustTree(t *testing.T) tree {
	t.Helper()
	ours, err := readTree(root)
	require.NoError(t, err)
	return ours
}

// The tree must at the least hold what the go command sees here and now.
func TestTreeIsComplete(t *testing.T) {
	ours := mustTree(t)
	cmd := exec.Command("go", "list", "-e", "-f", "{{.ImportPath}} {{len .GoFiles}} {{len .TestGoFiles}} {{len .XTestGoFiles}} {{len .IgnoredGoFiles}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	listed := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		files := 0
		for _, f := range fields[1:] {
			n, err := strconv.Atoi(f)
			require.NoError(t, err)
			files += n
		}
		found := ours[relative(fields[0])]
		require.NotNil(t, found, fields[0])
		require.GreaterOrEqual(t, len(found.files), files, fields[0])
		listed++
	}
	require.Greater(t, listed, 10)
	for _, known := range []string{".", "engine/infer", "engine/internal/sched", "engine/internal/llama", "tests/arch"} {
		require.Contains(t, ours, known)
	}
}
