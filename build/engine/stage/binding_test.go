package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bindingSymbols is how many symbols yzma v1.26.0 looks up. The number is a
// tripwire for the parsing below: an empty list would make every test pass.
const bindingSymbols = 218

// symbols reads from the binding's source which symbols it looks up, by the
// short name of the library that it looks in.
func symbols(t *testing.T) map[string][]string {
	t.Helper()
	_, err := os.Stat(filepath.Join(engineDir, "..", "..", "go.mod")) // makes go test's cache notice a change
	require.NoError(t, err)
	module, version, _ := strings.Cut(mustPins(t).Binding, "@")
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", module).Output()
	require.NoError(t, err)
	gotVersion, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	require.Equal(t, version, gotVersion, "go.mod and build/engine/package.json pin the binding differently")
	require.NotEmpty(t, dir, "the binding's source is not in the module cache: run `make setup build`")

	found, err := lookups(filepath.Join(dir, "pkg", "llama"))
	require.NoError(t, err)
	return found
}

// lookups parses a package that loads libraries the way yzma's pkg/llama does:
// a function Load with `lib, err = loader.LoadLibrary(path, "ggml")` and, after
// it, `loadSomething(lib)`, where loadSomething calls `lib.Prep("symbol", …)`.
func lookups(dir string) (map[string][]string, error) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, source, nil, 0)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	var load *ast.FuncDecl
	prepared := map[string][]string{} // function → symbols
	for _, file := range parsed {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if fn.Name.Name == "Load" && fn.Recv == nil {
				load = fn
			}
			if err := literalCalls(fn, "Prep", 0, func(symbol string) {
				prepared[fn.Name.Name] = append(prepared[fn.Name.Name], symbol)
			}); err != nil {
				return nil, fmt.Errorf("%s: %w", files.Position(fn.Pos()), err)
			}
		}
	}
	if load == nil {
		return nil, fmt.Errorf("%s: no function Load", dir)
	}

	byLib := map[string][]string{}
	lib := ""
	ast.Inspect(load, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fn := call.Fun.(type) {
		case *ast.SelectorExpr:
			if fn.Sel.Name == "LoadLibrary" {
				lib, _ = strconv.Unquote(call.Args[1].(*ast.BasicLit).Value)
			}
		case *ast.Ident:
			if names, ok := prepared[fn.Name]; ok {
				byLib[lib] = append(byLib[lib], names...)
				delete(prepared, fn.Name)
			}
		}
		return true
	})
	for fn := range prepared {
		return nil, fmt.Errorf("%s: %s looks symbols up, but Load doesn't call it", dir, fn)
	}
	return byLib, nil
}

// literalCalls reports the string literal that each call of a method gets as
// its arg-th argument, and fails on one that is not a literal.
func literalCalls(in *ast.FuncDecl, method string, arg int, found func(string)) error {
	var bad error
	ast.Inspect(in, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != method {
			return true
		}
		lit, ok := call.Args[arg].(*ast.BasicLit)
		if !ok {
			bad = fmt.Errorf("%s is called with something other than a literal name", method)
			return true
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			bad = err
		}
		found(name)
		return true
	})
	return bad
}
