package found

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// old is when the fixtures' files were changed: not now, so that a touch shows.
var old = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// fake is enough of a GGUF for the search, and different for each seed.
func fake(seed string) string { return "GGUF\x03\x00\x00\x00" + seed }

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

// lay writes files into a folder. A content that begins with "-> " makes a link.
func lay(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			require.NoError(t, os.Symlink(target, at))
			continue
		}
		require.NoError(t, os.WriteFile(at, []byte(content), 0o644))
		require.NoError(t, os.Chtimes(at, old, old))
	}
}

// state tells everything about a tree that a search could change.
func state(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		var content string
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(at)
			require.NoError(t, err)
		case info.Mode().IsRegular():
			raw, err := os.ReadFile(at)
			require.NoError(t, err)
			content = sum(string(raw))
		}
		out[at] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano(), content)
		return nil
	}))
	return out
}

// scan searches and proves that nothing changed.
func scan(t testing.TB, dir string, p Places) (models []Model, problems []Problem) {
	t.Helper()
	before := state(t, dir)
	models, problems = Scan(t.Context(), p)
	require.Equal(t, before, state(t, dir))
	for _, m := range models {
		require.NotEmpty(t, m.Name)
		require.Equal(t, m.Path, m.Parts[0])
		require.NotContains(t, m.Aliases, m.Name)
	}
	for _, problem := range problems {
		require.Regexp(t, `^[A-Z0-9].*[.)]$`, problem.Message)
	}
	return models, problems
}

func names(models []Model) (out []string) {
	for _, m := range models {
		out = append(out, m.Name)
	}
	return out
}

// told are the problems as "path below dir: message".
func told(dir string, problems []Problem) (out []string) {
	for _, p := range problems {
		out = append(out, strings.TrimPrefix(p.Path, dir+string(filepath.Separator))+": "+p.Message)
	}
	return out
}
