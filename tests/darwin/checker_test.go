package darwin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
)

// A checker type-checks packages for a Mac from their sources, since neither the
// C compiler nor the exported data of such a build is here. What comes from C is
// taken on trust, and so are the bodies of others' functions.
type checker struct {
	goarch  string
	listed  map[string]*listed
	checked map[string]*types.Package
	files   *token.FileSet
	errs    []error
	// ours are the files that were checked with their bodies.
	ours []string
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	ImportMap  map[string]string
	Standard   bool
	Module     *struct{ Main bool }
	Error      *struct{ Err string }
}

// check type-checks a package, and all that it needs, as it is built for a Mac.
// It returns the files of ours that took part and everything that is wrong.
func check(root, pkg, goarch, tags string) (ours []string, errs []error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-tags", tags, "-json=ImportPath,Dir,GoFiles,CgoFiles,ImportMap,Standard,Module,Error", pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+goarch, "CGO_ENABLED=1")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, []error{fmt.Errorf("go list: %w\n%s", err, problems.String())}
	}
	c := &checker{goarch: goarch, listed: map[string]*listed{}, checked: map[string]*types.Package{}, files: token.NewFileSet()}
	var order []string // dependencies first
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, []error{err}
		}
		c.listed[p.ImportPath] = &p
		order = append(order, p.ImportPath)
	}
	standard.Lock()
	defer standard.Unlock()
	for _, at := range order {
		p := c.listed[at]
		known := standardKey{goarch, at}
		if c.checked[at] = standard.packages[known]; c.checked[at] != nil {
			continue
		}
		c.checkPackage(p)
		if p.Standard {
			standard.packages[known] = c.checked[at]
		}
	}
	slices.Sort(c.ours)
	return c.ours, c.errs
}

// standard keeps the standard library's packages from one check to the next: none
// of our tags means anything to them, and they are most of the work.
var standard = struct {
	sync.Mutex
	packages map[standardKey]*types.Package
}{packages: map[standardKey]*types.Package{}}

type standardKey struct{ goarch, path string }

func (c *checker) checkPackage(p *listed) {
	if p.ImportPath == "unsafe" {
		c.checked[p.ImportPath] = types.Unsafe
		return
	}
	ours := p.Module != nil && p.Module.Main
	if p.Error != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err))
	}
	var parsed []*ast.File
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		name = filepath.Join(p.Dir, name)
		f, err := parser.ParseFile(c.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		parsed = append(parsed, f)
		if ours {
			c.ours = append(c.ours, name)
		}
	}
	conf := types.Config{
		FakeImportC:      true,
		IgnoreFuncBodies: !ours,
		Sizes:            types.SizesFor("gc", c.goarch),
		Importer:         importer{c, p},
		Error: func(err error) {
			var e types.Error
			if errors.As(err, &e) && e.Soft && !ours {
				return // an import that only an ignored body needs
			}
			c.errs = append(c.errs, err)
		},
	}
	checked, _ := conf.Check(p.ImportPath, c.files, parsed, nil) // Error has seen it
	c.checked[p.ImportPath] = checked
}

// importer resolves the imports of one package to what is checked already.
type importer struct {
	c    *checker
	from *listed
}

func (i importer) Import(path string) (*types.Package, error) {
	if mapped := i.from.ImportMap[path]; mapped != "" {
		path = mapped
	}
	if p := i.c.checked[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s is not among what go list found", path)
}
