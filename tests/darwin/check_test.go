package darwin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// builds are the ways in which samovar and its worker ship for a Mac. The first
// has no cgo files of ours and is compiled by `make cross`, too.
var builds = []struct{ pkg, tags string }{
	{".", ""}, {".", "tray"}, {".", "desktop,production"}, {".", "tray,desktop,production"}, {"./engine/samovar-engine", ""},
}

// checkBuild checks each of them once for all tests.
func checkBuild(i int) (ours []string, errs []error) {
	checkedBuilds[i].once.Do(func() {
		b := builds[i]
		checkedBuilds[i].ours, checkedBuilds[i].errs = check(root, b.pkg, "arm64", b.tags)
	})
	return checkedBuilds[i].ours, checkedBuilds[i].errs
}

var checkedBuilds = make([]struct {
	once sync.Once
	ours []string
	errs []error
}, len(builds))

func TestOurFilesCompileForMacOS(t *testing.T) {
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	for i, b := range builds {
		t.Run(b.pkg+" "+b.tags, func(t *testing.T) {
			ours, errs := checkBuild(i)
			for _, err := range errs {
				t.Error(err)
			}
			require.Greater(t, len(ours), 40)
			for _, name := range ours {
				_, err := os.Stat(name) // makes go test's cache notice a change
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(name, abs), name)
			}
		})
	}
}

// Every file of ours that is for macOS only is in one of the builds: one that a
// wrong tag keeps out of all of them would never be looked at.
func TestEveryFileForMacOSIsInABuild(t *testing.T) {
	seen := map[string]bool{}
	for i := range builds {
		ours, _ := checkBuild(i)
		for _, name := range ours {
			seen[name] = true
		}
	}
	found := 0
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	for _, folder := range []string{"app", "engine", "server"} {
		err := filepath.WalkDir(filepath.Join(abs, folder), func(name string, d os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(name, "_darwin.go") {
				found++
				require.True(t, seen[name], "%s is in no build", name)
			}
			return err
		})
		require.NoError(t, err)
	}
	require.Greater(t, found, 1)
}

// The check finds what is wrong in files for macOS, with cgo and without, and
// looks at no others.
func TestErrorsAreFound(t *testing.T) {
	const cgo = "//go:build desktop\n\npackage main\n\n// #include <stdlib.h>\nimport \"C\"\n\nfunc init() { C.free(nil); title(%s) }\n"
	for name, c := range map[string]struct{ file, source, tags, says string }{
		"right":                {"a_darwin.go", strings.Replace(cgo, "%s", `"x"`, 1), "desktop", ""},
		"wrong type, with cgo": {"a_darwin.go", strings.Replace(cgo, "%s", "42", 1), "desktop", "cannot use 42"},
		"tag not given":        {"a_darwin.go", strings.Replace(cgo, "%s", "42", 1), "tray", ""},
		"not for macOS":        {"a_linux.go", strings.Replace(cgo, "%s", "42", 1), "desktop", ""},
		"undefined":            {"a_darwin.go", "package main\n\nvar x = missing\n", "", "undefined: missing"},
		"unused import":        {"a_darwin.go", "package main\n\nimport \"os\"\n", "", `"os" imported and not used`},
		"unknown package":      {"a_darwin.go", "package main\n\nimport _ \"example/nowhere\"\n", "", "example/nowhere"},
		"defined twice":        {"a_darwin.go", "package main\n\nfunc title(string) {}\n", "", "redeclared"},
		"no Go":                {"a_darwin.go", "package main\n\nfunc {\n", "", "expected"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, source := range map[string]string{
				"go.mod": "module example\n\ngo 1.26\n", c.file: c.source,
				"main.go": "package main\n\nimport \"net/http\"\n\nvar _ http.Handler\n\nfunc main() {}\n\nfunc title(s string) {}\n",
			} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(source), 0o600))
			}
			ours, errs := check(dir, ".", "arm64", c.tags)
			require.NotEmpty(t, ours)
			if c.says == "" {
				require.Empty(t, errs)
				return
			}
			require.NotEmpty(t, errs)
			require.ErrorContains(t, errs[0], c.says)
		})
	}
}

// Wails uses a class of a framework that it doesn't link. `wails build` adds it;
// for `go build` one of our cgo files has to, and the type checker sees no flags.
func TestTheWindowLinksWhatWailsUses(t *testing.T) {
	cmd := exec.Command("go", "list", "-tags", "desktop,production", "-f", "{{.CgoLDFLAGS}}", "./app/window")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "-framework UniformTypeIdentifiers")
}

// What app/window gives WebKit's delegate is given to a class of Wails's, by name, which
// must not have it.
func TestWailsHasTheDelegateThatIsAddedTo(t *testing.T) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/wailsapp/wails/v2")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	theirs := filepath.Join(strings.TrimSpace(string(out)), "internal", "frontend", "desktop", "darwin")
	ours, err := os.ReadFile(filepath.Join(root, "app", "window", "cocoa_darwin.m"))
	require.NoError(t, err)
	require.Contains(t, string(ours), `objc_getClass("WailsContext")`)
	require.Contains(t, string(ours), "webView:decidePolicyForNavigationAction:decisionHandler:")
	head, err := os.ReadFile(filepath.Join(theirs, "WailsContext.h"))
	require.NoError(t, err)
	require.Regexp(t, `@interface WailsContext : NSObject <[^>]*WKNavigationDelegate`, string(head))
	body, err := os.ReadFile(filepath.Join(theirs, "WailsContext.m"))
	require.NoError(t, err)
	require.Contains(t, string(body), "[self.webview setNavigationDelegate:self]")
	require.NotContains(t, string(body), "decidePolicyForNavigationAction")
}
