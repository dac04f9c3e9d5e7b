package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// doctorSays is what `samovar doctor --json` prints, as far as it matters here.
type doctorSays struct {
	Status string
	Checks []struct{ Name, Status, Says, Do string }
	Kept   struct {
		Files  int
		Bytes  int64
		Stores []struct {
			Dir      string
			InUse    bool `json:"in_use"`
			Blocks   int
			Wrong    []struct{ File, Reason string }
			Orphans  int
			Index    string
			Repaired *struct {
				PutAside int `json:"put_aside"`
				Deleted  int
			}
			Quarantine []struct {
				Reason string
				Files  int
			}
		}
	}
}

// status is that of one check, "" if it is not there.
func (d doctorSays) status(name string) string {
	for _, c := range d.Checks {
		if c.Name == name {
			return c.Status
		}
	}
	return ""
}

func askDoctor(t *testing.T, dir, addr string, wantCode int, args ...string) doctorSays {
	t.Helper()
	out, errs, code := runToEnd(t, []string{"SAMOVAR_ADDR=" + addr}, append([]string{"doctor", "--json", "--data-dir", dir}, args...)...)
	require.Equal(t, wantCode, code, "%s%s", out, errs)
	require.Equal(t, wantCode != 0, errs != "", errs)
	var d doctorSays
	require.NoError(t, json.Unmarshal([]byte(out), &d), out)
	return d
}

// keptFiles are the files of kept KV, by name.
func keptFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "kv", "*", "??", "*.kv"))
	require.NoError(t, err)
	return files
}

func TestDoctorOnANewMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	out, errs, code := runToEnd(t, []string{"SAMOVAR_ADDR=127.0.0.1:0"}, "doctor", "--data-dir", dir)
	require.Zero(t, code, errs)
	require.Empty(t, errs)
	require.True(t, strings.HasSuffix(out, "\nAll is well.\n"), out)
	require.NotContains(t, out, "\x1b", "no terminal, no colours")
	for _, part := range []string{"its engine is of the same build", "can be loaded", "will be made at the first start", "guide takes about", "Nothing is kept"} {
		require.Contains(t, out, part)
	}
	require.NoDirExists(t, dir, "looking leaves no trace")
}

func TestDoctorFindsDamageAndRepairsIt(t *testing.T) {
	const anyPort = "127.0.0.1:0"
	dir := t.TempDir()
	in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	in.awaitReady()
	text := strings.Repeat("What goes with tea? ", 60)
	first := in.asks(text)
	in.signal(syscall.SIGTERM)
	require.Zero(t, in.awaitExit())
	files := keptFiles(t, dir)
	require.Greater(t, len(files), 4)

	d := askDoctor(t, dir, anyPort, 0)
	require.Equal(t, "ok", d.Status)
	require.Len(t, d.Kept.Stores, 1)
	require.Equal(t, len(files), d.Kept.Files)
	require.Empty(t, d.Kept.Stores[0].Wrong)
	require.Zero(t, d.Kept.Stores[0].Orphans)
	require.Equal(t, "good", d.Kept.Stores[0].Index)

	data, err := os.ReadFile(files[1])
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(files[1], data, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(d.Kept.Stores[0].Dir, "tmp", "half"), nil, 0o600))
	for range 2 { // looking repairs nothing
		d = askDoctor(t, dir, anyPort, 1)
		require.Equal(t, "problem", d.status("kept KV"))
		require.Len(t, d.Kept.Stores[0].Wrong, 1)
		require.Equal(t, "payload_checksum", d.Kept.Stores[0].Wrong[0].Reason)
		require.Equal(t, files[1], filepath.Join(d.Kept.Stores[0].Dir, d.Kept.Stores[0].Wrong[0].File))
	}
	d = askDoctor(t, dir, anyPort, 0, "--repair")
	require.Equal(t, "ok", d.status("kept KV"))
	require.Equal(t, 1, d.Kept.Stores[0].Repaired.PutAside)
	require.Equal(t, 1, d.Kept.Stores[0].Repaired.Deleted)
	require.NoFileExists(t, files[1])
	d = askDoctor(t, dir, anyPort, 0)
	require.Equal(t, "ok", d.status("kept KV"))
	require.Equal(t, "warning", d.status("quarantine"))
	require.Empty(t, d.Kept.Stores[0].Wrong)
	require.Equal(t, len(files)-1, d.Kept.Files)
	require.NoError(t, os.RemoveAll(filepath.Join(d.Kept.Stores[0].Dir, "quarantine")))
	require.Equal(t, "ok", askDoctor(t, dir, anyPort, 0).Status)

	in = start(t, setup{dataDir: dir, args: []string{"--shape", "tiny"}})
	in.awaitReady()
	require.Equal(t, first.Choices, in.asks(text).Choices)
}

// Beside a Samovar that saves and evicts, doctor reads, calls nothing wrong and is in
// nobody's way.
func TestDoctorBesideARunningServer(t *testing.T) {
	dir := t.TempDir()
	in := start(t, setup{dataDir: dir, args: []string{"--shape", "tiny", "--keep-quota", "4MiB"}})
	in.awaitReady()
	addr := strings.TrimPrefix(in.base, "http://")
	prompt := func(i int) string { return strings.Repeat(fmt.Sprintf("%d cups of tea? ", i), 100) }
	in.asks(prompt(0))
	in.await("something is kept", func() bool { return in.kept().Blocks > 0 })

	busy, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			select {
			case <-busy:
				return
			default:
				_, _ = in.try(in.request("/v1/chat/completions", encode(t, question(prompt(i), map[string]any{"max_tokens": 2}))))
			}
		}
	}()
	for _, args := range [][]string{nil, {"--repair"}, nil, {"--repair"}} {
		d := askDoctor(t, dir, addr, 0, args...)
		require.Equal(t, "ok", d.Status, "%+v", d.Checks)
		require.Len(t, d.Kept.Stores, 1)
		require.True(t, d.Kept.Stores[0].InUse)
		require.Empty(t, d.Kept.Stores[0].Wrong)
		require.Positive(t, d.Kept.Stores[0].Blocks)
		require.Contains(t, fmt.Sprint(d.Checks), "serves shape-tiny")
	}
	close(busy)
	<-done
	require.Empty(t, in.kept().Rejected)
	require.Zero(t, in.kept().ReadErrors)
	require.Empty(t, in.kept().Off)

	// Somebody else's port.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	d := askDoctor(t, dir, ln.Addr().String(), 1)
	require.Equal(t, "problem", d.status("address"))
}
