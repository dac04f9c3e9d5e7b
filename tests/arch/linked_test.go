package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A build is one way in which the app is built.
type build struct {
	goos, tags, cgo string
}

// builds are the ways in which samovar ships.
var builds = []build{
	{"linux", "", "0"}, {"linux", "tray", "0"}, {"linux", "desktop", "1"},
	{"darwin", "", "0"}, {"darwin", "tray", "1"}, {"darwin", "desktop", "1"},
}

// The FFI library initialises at process start and panics if it can't, before
// main: linked into the app, a missing libffi would take the menu bar and the
// API down with it. So only samovar-engine may link it.
func TestTheAppDoesNotLinkTheFFILibrary(t *testing.T) {
	for _, b := range builds {
		t.Run(strings.TrimSuffix(b.goos+" "+b.tags, " "), func(t *testing.T) {
			linked := linkedBy(t, ".", b)
			require.Contains(t, linked, "app")
			if chain := reach(linked, ".", nativeLibrary); chain != nil {
				t.Errorf("%s\n\twhy not: the FFI library can panic at process start, and only the worker may die", strings.Join(chain, " → "))
			}
		})
	}
}

// The same search finds the library where it is, else it proves nothing.
func TestTheWorkerLinksTheFFILibrary(t *testing.T) {
	for _, b := range []build{{"linux", "", "0"}, {"darwin", "", "0"}} {
		require.NotNil(t, reach(linkedBy(t, "./engine/samovar-engine", b), "engine/samovar-engine", nativeLibrary))
	}
}

// linkedBy asks the go command for everything that a main package links.
func linkedBy(t *testing.T, main string, b build) tree {
	t.Helper()
	_, err := os.Stat(filepath.Join(root, "go.mod")) // makes go test's cache notice a change
	require.NoError(t, err)
	cmd := exec.Command("go", "list", "-deps", "-tags", b.tags, "-json=ImportPath,Imports", main)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+b.goos, "CGO_ENABLED="+b.cgo)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, problems.String())
	linked, err := decodeLinked(bytes.NewReader(out))
	require.NoError(t, err)
	return linked
}

func decodeLinked(r io.Reader) (tree, error) {
	linked := tree{}
	dec := json.NewDecoder(r)
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return linked, nil
		} else if err != nil {
			return nil, err
		}
		imports := make([]string, len(p.Imports))
		for i, imported := range p.Imports {
			imports[i] = relative(imported)
		}
		at := relative(p.ImportPath)
		linked[at] = &pkg{path: at, files: []file{{imports: imports}}}
	}
}

func TestLinkingIsFoundThroughOtherModules(t *testing.T) {
	linked, err := decodeLinked(strings.NewReader(`
		{"ImportPath": "samovar", "Imports": ["samovar/app"]}
		{"ImportPath": "samovar/app", "Imports": ["example.org/innocent"]}
		{"ImportPath": "example.org/innocent", "Imports": ["github.com/ebitengine/purego"]}
		{"ImportPath": "github.com/ebitengine/purego"}`))
	require.NoError(t, err)
	require.Equal(t, []string{".", "app", "example.org/innocent", "github.com/ebitengine/purego"}, reach(linked, ".", nativeLibrary))
	require.Nil(t, reach(linked, ".", guiLibrary))
}
