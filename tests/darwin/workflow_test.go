package darwin

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// workflow is what we use of GitHub's format; more is refused, since GitHub
// ignores or refuses what is misspelt only when it is pushed.
type workflow struct {
	Name string
	On   struct {
		Push             struct{ Branches []string }
		PullRequest      *struct{} `yaml:"pull_request"`
		WorkflowDispatch *struct{} `yaml:"workflow_dispatch"`
	}
	Permissions map[string]string
	Concurrency struct {
		Group  string
		Cancel bool `yaml:"cancel-in-progress"`
	}
	Jobs map[string]struct {
		Strategy struct {
			FailFast bool `yaml:"fail-fast"`
			Matrix   struct{ OS []string }
		}
		RunsOn  string `yaml:"runs-on"`
		Timeout int    `yaml:"timeout-minutes"`
		Steps   []step
	}
}

type step struct {
	Name, Uses, Run, If string
	With                map[string]string
}

var (
	makeTarget  = regexp.MustCompile(`(?m)(?:^|&& *)make ([a-z-]+)`)
	ourPath     = regexp.MustCompile(`(?:^|\s)\.?/?((?:app|engine|server|build|tests)(?:/[a-z0-9._-]+)*)`)
	pinnedUse   = regexp.MustCompile(`^actions/[a-z-]+@v\d+$`)
	firstOfFile = regexp.MustCompile(`(?s)^(#[^\n]*\n)+`)
)

// lintWorkflow says what is wrong with a workflow, as far as that is known here.
// has says whether a file of ours is there, targets are the Makefile's.
func lintWorkflow(source []byte, targets map[string]bool, has func(string) bool) error {
	var w workflow
	dec := yaml.NewDecoder(strings.NewReader(string(source)))
	dec.KnownFields(true)
	if err := dec.Decode(&w); err != nil {
		return err
	}
	bad := []error{}
	want := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format, args...))
		}
	}
	want(strings.Contains(string(firstOfFile.Find(source)), "UNPROVEN"), "its first comment does not say that it is unproven")
	want(w.Name != "" && len(w.On.Push.Branches) > 0, "it has no name, or nothing starts it")
	want(len(w.Permissions) == 1 && w.Permissions["contents"] == "read", "it may more than read")
	want(len(w.Jobs) > 0, "it has no jobs")
	for name, job := range w.Jobs {
		want(job.RunsOn == "${{ matrix.os }}" && len(job.Strategy.Matrix.OS) > 0, "%s runs nowhere", name)
		for _, os := range job.Strategy.Matrix.OS {
			want(regexp.MustCompile(`^macos-\d+$`).MatchString(os), "%s runs on %s", name, os)
		}
		want(job.Timeout > 0, "%s has no limit of time", name)
		want(len(job.Steps) > 0, "%s has no steps", name)
		for i, s := range job.Steps {
			want((s.Uses == "") != (s.Run == ""), "step %d of %s: either uses or run", i+1, name)
			want(s.Uses == "" || pinnedUse.MatchString(s.Uses), "%s is not one of GitHub's own actions, pinned", s.Uses)
			for _, found := range makeTarget.FindAllStringSubmatch(s.Run, -1) {
				want(targets[found[1]], "make %s: there is no such target", found[1])
			}
			for _, found := range ourPath.FindAllStringSubmatch(s.Run, -1) {
				want(has(found[1]), "%s is not there", found[1])
			}
			if s.Run != "" {
				want(shellParses(s.Run) == nil, "step %d of %s: %v", i+1, name, shellParses(s.Run))
			}
		}
	}
	return errors.Join(bad...)
}

// shellParses has a shell read a script without running it. What GitHub fills in
// is a word by then.
func shellParses(script string) error {
	cmd := exec.Command("sh", "-n")
	cmd.Stdin = strings.NewReader(regexp.MustCompile(`\$\{\{[^}]*\}\}`).ReplaceAllString(script, "x"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func makefileTargets(t *testing.T) map[string]bool {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z-]+):(?: |$)`).FindAllSubmatch(makefile, -1) {
		targets[string(found[1])] = true
	}
	require.Greater(t, len(targets), 8)
	return targets
}

func hasFile(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(strings.TrimSuffix(name, "/..."))))
	return err == nil
}

func TestWorkflow(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "macos.yml"))
	require.NoError(t, err)
	targets := makefileTargets(t)
	require.NoError(t, lintWorkflow(source, targets, hasFile))

	good := string(source)
	for name, c := range map[string][3]string{
		"no YAML":           {"jobs:", "jobs", "yaml"},
		"unknown key":       {"runs-on:", "run-on:", "run-on"},
		"unknown target":    {"run: make app", "run: make appp", "make appp: there is no such target"},
		"unknown package":   {"./tests/arch", "./tests/architecture", "tests/architecture is not there"},
		"unknown script":    {"tests/darwin/app.sh", "tests/darwin/apps.sh", "tests/darwin/apps.sh is not there"},
		"not a Mac":         {"os: [macos-14,", "os: [ubuntu-24.04,", "runs on ubuntu-24.04"},
		"unpinned action":   {"actions/setup-go@v5", "actions/setup-go@main", "actions/setup-go@main is not"},
		"foreign action":    {"actions/setup-go@v5", "somebody/setup-go@v5", "somebody/setup-go@v5 is not"},
		"may write":         {"contents: read", "contents: write", "may more than read"},
		"no limit":          {"timeout-minutes: 60", "timeout-minutes: 0", "no limit of time"},
		"claims to be good": {"UNPROVEN", "Proven", "unproven"},
		"no shell":          {"run: make app", "run: if make app", "step"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, c[0])
			require.ErrorContains(t, lintWorkflow([]byte(strings.Replace(good, c[0], c[1], 1)), targets, hasFile), c[2])
		})
	}
}

// The script that the workflow runs: a shell reads it, and the titles that it
// looks for in the menu are in the menu's source.
func TestAppScript(t *testing.T) {
	script, err := os.ReadFile("app.sh")
	require.NoError(t, err)
	require.NoError(t, shellParses(string(script)))
	titles := literals(t, filepath.Join(root, "app", "tray"))
	looked := 0
	for _, line := range regexp.MustCompile(`(?m)(?:item|click|for want in) "[^\n]*`).FindAllString(string(script), -1) {
		line, _, _ = strings.Cut(line, "||")
		for _, title := range regexp.MustCompile(`"([^"$]+)"`).FindAllStringSubmatch(line, -1) {
			looked++
			require.True(t, titles[title[1]], "app.sh looks for %q in the menu", title[1])
		}
	}
	require.Greater(t, looked, 8)
}

// One bundle id: what macOS remembers of the app hangs on it.
func TestOneBundleID(t *testing.T) {
	const id = "io.samovar.Samovar"
	found := 0
	for _, folder := range []string{"app", "build", "engine", "server"} {
		for text := range literals(t, filepath.Join(root, folder)) {
			if i := strings.Index(strings.ToLower(text), "io.samovar"); i >= 0 {
				require.Equal(t, id, text[i:min(len(text), i+len(id))], "%q", text)
				found++
			}
		}
	}
	require.Greater(t, found, 1)
}

// literals are the texts in the Go files below a folder.
func literals(t *testing.T, folder string) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	err := filepath.WalkDir(folder, func(name string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return filepath.SkipDir
		case filepath.Ext(name) != ".go":
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					texts[text] = true
				}
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return texts
}

// wails.json is for people with the wails CLI; what it says twice must agree.
func TestWailsProject(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "wails.json"))
	require.NoError(t, err)
	var project struct {
		Output   string `json:"outputfilename"`
		Frontend string `json:"frontend:dir"`
		Build    string `json:"frontend:build"`
		Tags     string `json:"build:tags"`
		Info     struct{ ProductName, Copyright string }
	}
	require.NoError(t, json.Unmarshal(raw, &project))
	require.Equal(t, "samovar", project.Output)
	require.Equal(t, "Samovar", project.Info.ProductName)
	require.FileExists(t, filepath.Join(root, project.Frontend, "package.json"))
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	require.Contains(t, string(makefile), strings.TrimPrefix(project.Build, "npm run build -- "))
	require.Contains(t, string(makefile), project.Tags)
	plist, err := os.ReadFile(filepath.Join(root, "build", "darwin", "Info.plist"))
	require.NoError(t, err)
	require.Contains(t, string(plist), project.Info.Copyright)
}
