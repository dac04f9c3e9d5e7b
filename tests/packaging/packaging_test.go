package packaging

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/tests/samovartest"
)

const root = "../.."

var built samovartest.Built

func TestMain(m *testing.M) { samovartest.Main(m, &built) }

// What `make app` makes runs from another folder, and from a link to it, as who
// puts it on a PATH has it.
func TestTheAppRunsWhereItIsPut(t *testing.T) {
	into := filepath.Join(t.TempDir(), "made")
	cmd := exec.Command("go", "run", "-buildvcs=false", "./build/bundle", "-version", "v0.0.1-test",
		"-samovar", filepath.Join(built.Dir, "samovar"), "-engine", filepath.Join(built.Dir, "samovar-engine"), "-libs", built.Libs, "-into", into)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))

	at := filepath.Join(t.TempDir(), "a folder with spaces")
	if runtime.GOOS == "darwin" {
		require.NoError(t, os.Rename(filepath.Join(into, "Samovar.app"), at+".app"))
		at += ".app/Contents/MacOS"
	} else {
		// The archive is what people get.
		require.NoError(t, os.Mkdir(at, 0o755))
		packed, err := filepath.Glob(filepath.Join(into, "samovar-linux-*.tar.gz"))
		require.NoError(t, err)
		require.Len(t, packed, 1)
		out, err := exec.Command("tar", "-xzf", packed[0], "-C", at).CombinedOutput()
		require.NoError(t, err, string(out))
		at = filepath.Join(at, "samovar")
	}
	requireServes(t, at)

	link := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(at, "samovar"), filepath.Join(link, "samovar")))
	requireServes(t, link)
}

// The layout of Samovar.app, with this system's executables in it: the engine is
// found beside samovar, and the libraries in Frameworks.
func TestTheLayoutOfSamovarApp(t *testing.T) {
	contents := filepath.Join(t.TempDir(), "Samovar.app", "Contents")
	at := filepath.Join(contents, "MacOS")
	require.NoError(t, os.MkdirAll(at, 0o755))
	for _, name := range []string{"samovar", "samovar-engine"} {
		data, err := os.ReadFile(filepath.Join(built.Dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(at, name), data, 0o755))
	}
	require.NoError(t, os.Symlink(built.Libs, filepath.Join(contents, "Frameworks")))
	requireServes(t, at)

	require.NoError(t, os.Remove(filepath.Join(contents, "Frameworks")))
	cmd := exec.Command(filepath.Join(at, "samovar"), "doctor", "--data-dir", t.TempDir())
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "engine libraries are missing")
}

func requireServes(t *testing.T, dir string) {
	t.Helper()
	base := samovartest.Serve(t, samovartest.Built{Dir: dir}, "ready")
	resp, err := http.Post(base+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"max_tokens":20,"messages":[{"role":"user","content":"What can you do?"}]}`))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }() // it was only read
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Len(t, answer.Choices, 1)
	require.NotEmpty(t, answer.Choices[0].Message.Content)
}

// The desktop entry: its keys, its actions, and that samovar has the commands.
func TestDesktopEntry(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "build", "linux", "samovar.desktop"))
	require.NoError(t, err)
	groups := parseEntry(t, string(raw))
	main := groups["Desktop Entry"]
	require.Equal(t, "Application", main["Type"])
	require.Equal(t, "Samovar", main["Name"])
	require.Equal(t, "x-scheme-handler/samovar;", main["MimeType"])
	require.Equal(t, "samovar open %u", main["Exec"])
	require.Equal(t, "false", main["Terminal"])
	require.FileExists(t, filepath.Join(root, "build", "linux", "icons", "hicolor", "scalable", "apps", main["Icon"]+".svg"))

	actions := strings.Split(strings.TrimSuffix(main["Actions"], ";"), ";")
	require.Len(t, groups, len(actions)+1)
	for _, action := range actions {
		require.NotEmpty(t, groups["Desktop Action "+action]["Name"])
	}
	for name, group := range groups {
		words := strings.Fields(group["Exec"])
		require.GreaterOrEqual(t, len(words), 2, name)
		require.Equal(t, "samovar", words[0])
		out, err := exec.Command(filepath.Join(built.Dir, "samovar"), words[1], "--help").CombinedOutput()
		require.NoError(t, err, "samovar has no command %q:\n%s", words[1], out)
		require.Contains(t, string(out), "samovar "+words[1])
	}
	if validate, err := exec.LookPath("desktop-file-validate"); err == nil {
		var said bytes.Buffer
		cmd := exec.Command(validate, filepath.Join(root, "build", "linux", "samovar.desktop"))
		cmd.Stdout, cmd.Stderr = &said, &said
		require.NoError(t, cmd.Run(), said.String())
		require.Empty(t, said.String())
	}
}

var (
	groupLine = regexp.MustCompile(`^\[([^\[\]]+)\]$`)
	keyLine   = regexp.MustCompile(`^([A-Za-z0-9-]+)=(.+)$`)
)

// parseEntry reads the groups of a desktop entry, and refuses any other line and
// what is said twice.
func parseEntry(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	groups, at := map[string]map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if found := groupLine.FindStringSubmatch(line); found != nil {
			at = found[1]
			require.NotContains(t, groups, at)
			groups[at] = map[string]string{}
		} else if found := keyLine.FindStringSubmatch(line); found != nil {
			require.Contains(t, groups, at)
			require.NotContains(t, groups[at], found[1])
			groups[at][found[1]] = found[2]
		} else {
			require.Empty(t, line)
		}
	}
	return groups
}
