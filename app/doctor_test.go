package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/checkup"
	"samovar/engine/infer"
	"samovar/engine/models"
)

// healthy are the symptoms of a machine where all is well.
func healthy() symptoms {
	return symptoms{
		version: versionInfo{Version: "v1", Go: "go1", OS: "linux", Arch: "amd64"},
		engine:  checkup.Engine{Build: "v1", Libraries: "ggml 1"}, libDir: "/opt/lib",
		settingsFile: "/d/settings.toml",
		folders:      []folderFacts{{path: "/d", exists: true}}, disk: "/d", free: 100 << 30, keepQuota: 32 << 30,
		addr:   addressFacts{addr: "127.0.0.1:7266"},
		model:  "guide",
		memory: checkup.Memory{Need: 100 << 20, Least: 50 << 20, Available: 1 << 30, Context: 4096},
		kept:   checkup.Kept{Dir: "/d/kv", Stores: []checkup.Store{}},
	}
}

func answering(h health) func(*symptoms) {
	return func(s *symptoms) { s.addr.health, s.addr.err = &h, &listen.Error{Owner: &listen.Owner{}} }
}

// storeOf makes the report of one store.
func storeOf(change func(*checkup.Store)) func(*symptoms) {
	return func(s *symptoms) {
		st := checkup.Store{Dir: "/d/my kv/0123456789abcdef", Blocks: 10, Tails: 1, Tokens: 2600, Bytes: 3 << 20, Index: checkup.IndexGood, Used: time.Now()}
		change(&st)
		s.kept.Stores, s.kept.Files, s.kept.Bytes = []checkup.Store{st}, st.Files(), st.DiskBytes()
	}
}

func TestDiagnosis(t *testing.T) {
	errDenied := &os.PathError{Op: "open", Path: "/d/x", Err: syscall.EACCES}
	damaged := checkup.Wrong{File: "ab/" + strings.Repeat("ab", 32) + ".kv", Bytes: 9, Reason: "payload_checksum", Text: "the checksum of its payload is wrong"}
	ready := health{State: infer.StateReady, Version: "v1"}
	ready.Model.ID = "guide"
	failed, old, silent := ready, ready, ready
	failed.State, failed.Reason, failed.Hint = infer.StateFailed, "The file is broken.", "Download it again."
	old.Version = "v0"
	silent.Kept.Off = "The disk is full."
	cases := map[string]struct {
		change func(*symptoms)
		check  string
		want   verdict
		says   []string
	}{
		"nothing":           {func(*symptoms) {}, "kept KV", fine, []string{"Nothing is kept"}},
		"no engine":         {func(s *symptoms) { s.workerErr = errors.New("the engine is missing") }, "version", problem, []string{"the engine is missing.", "make build"}},
		"another engine":    {func(s *symptoms) { s.engine.Build = "v2" }, "version", problem, []string{"v1", "v2", "same release"}},
		"libraries":         {func(s *symptoms) { s.engine.LibrariesErr = errors.New("SIGBUS") }, "libraries", problem, []string{"/opt/lib", "SIGBUS", engine.LibDirEnv}},
		"settings":          {func(s *symptoms) { s.settingsErr = errors.New(`unknown setting "x"; did you mean "y"?`) }, "settings", problem, []string{`did you mean "y"? → Correct`}},
		"a settings file":   {func(s *symptoms) { s.settingsThere = true }, "settings", fine, []string{"/d/settings.toml is valid"}},
		"not made yet":      {func(s *symptoms) { s.folders[0].exists = false }, "data folder", fine, []string{"/d will be made"}},
		"not writable":      {func(s *symptoms) { s.folders[0].err = errDenied }, "data folder", problem, []string{"cannot write into /d: permission denied.", "--data-dir"}},
		"open to others":    {func(s *symptoms) { s.folders[0].open = true }, "data folder", warning, []string{"Other users", "chmod go= /d"}},
		"a full disk":       {func(s *symptoms) { s.free = 1 << 30 }, "disk", problem, []string{"1.0 GiB are free", "no KV is saved", "2.0 GiB", "Make room"}},
		"little room":       {func(s *symptoms) { s.free = engine.SpareBytes + 100<<20 }, "disk", warning, []string{"only 100 MiB more"}},
		"nothing is kept":   {func(s *symptoms) { s.free, s.keepQuota = 1<<30, 0 }, "disk", fine, []string{"keep_quota = 0"}},
		"no answer of disk": {func(s *symptoms) { s.freeErr = errDenied }, "disk", warning, []string{"not known"}},
		"port 0":            {func(s *symptoms) { s.addr.addr = "127.0.0.1:0" }, "address", fine, []string{"Any free port"}},
		"another server": {func(s *symptoms) { s.addr.err = &listen.Error{Owner: &listen.Owner{PID: 7, Name: "nginx"}} }, "address", problem,
			[]string{"127.0.0.1:7266 is taken by nginx (pid 7)", "--addr"}},
		"no such address": {func(s *symptoms) { s.addr.err = errors.New("cannot listen") }, "address", problem, []string{"Cannot listen."}},
		"it serves":       {answering(ready), "address", fine, []string{"samovar v1 serves guide."}},
		"it failed":       {answering(failed), "address", problem, []string{"could not load guide. The file is broken.", "→ Download it again."}},
		"it is old":       {answering(old), "address", warning, []string{"samovar v0 serves", "not this version, v1", "Stop it"}},
		"it saves nothing": {answering(silent), "address", warning, []string{
			"It saves no KV: The disk is full."}},
		"no such model": {func(s *symptoms) { s.modelErr = errors.New("there is no model file x") }, "model", problem, []string{"There is no model file x."}},
		"a bad model": {func(s *symptoms) {
			s.memoryErr = &models.BadFileError{Path: "/m.gguf", Reason: "It is cut.", Hint: "Download it again."}
		}, "model", problem, []string{"/m.gguf cannot be used as a model. It is cut. → Download"}},
		"made later":                          {func(s *symptoms) { s.model, s.notMade = "shape-8b", true }, "model", fine, []string{"shape-8b is made"}},
		"memory is short":                     {func(s *symptoms) { s.memory.Available = 60 << 20 }, "model", warning, []string{"100 MiB", "4,096 tokens", "60 MiB", "--ctx"}},
		"memory is used by the one that runs": {func(s *symptoms) { answering(ready)(s); s.memory.Available = 1 << 20 }, "model", fine, []string{"beside the samovar that runs"}},
		"no memory":                           {func(s *symptoms) { s.memory.Available = 1 << 20 }, "model", problem, []string{"at least 50 MiB", "1.0 MiB"}},
		"unreadable folder":                   {func(s *symptoms) { s.keptErr = errDenied }, "kept KV", problem, []string{"/d/kv cannot be read: permission denied."}},
		"all right":                           {storeOf(func(*checkup.Store) {}), "kept KV", fine, []string{"11 files (1 model, 3.0 MiB) were read and are right", "0123456789abcdef: 10 blocks, 1 tail, 2,600 tokens, 3.0 MiB; last used just now"}},
		"damaged":                             {storeOf(func(st *checkup.Store) { st.Wrong = []checkup.Wrong{damaged} }), "kept KV", problem, []string{"1 of 12 files", "is wrong", "ab/abababababab…: the checksum", "Run samovar doctor --repair"}},
		"much damaged":                        {storeOf(func(st *checkup.Store) { st.Wrong = make([]checkup.Wrong, 8) }), "kept KV", problem, []string{"8 of 19 files", "are wrong", "and 3 more"}},
		"damaged and in use":                  {storeOf(func(st *checkup.Store) { st.InUse, st.Wrong = true, []checkup.Wrong{damaged} }), "kept KV", problem, []string{"a samovar has it open, so it was only read", "stop it and run samovar doctor --repair"}},
		"repair while in use": {func(s *symptoms) {
			storeOf(func(st *checkup.Store) { st.InUse, st.Wrong = true, []checkup.Wrong{damaged} })(s)
			s.repair = true
		}, "kept KV", problem, []string{"Stop the samovar"}},
		"repaired": {storeOf(func(st *checkup.Store) {
			put := damaged
			put.PutAside = true
			st.Wrong, st.Repaired = []checkup.Wrong{put}, &checkup.Repaired{PutAside: 1, Deleted: 2, IndexMade: true, IndexFixed: 3}
		}), "kept KV", fine, []string{"1 of 12 files", "was wrong and is in quarantine now", "; put aside", "1 file put into quarantine, 2 unfinished files deleted, the index made anew, 3 entries"}},
		"unreadable file": {storeOf(func(st *checkup.Store) {
			st.Wrong = []checkup.Wrong{{File: "ab/x", Reason: checkup.Unreadable, Text: "input/output error"}}
		}), "kept KV", problem, []string{"input/output error", "Check the disk"}},
		"orphans":        {storeOf(func(st *checkup.Store) { st.Orphans, st.OrphanBytes = 2, 1<<20 }), "kept KV", fine, []string{"2 files (1.0 MiB) wait"}},
		"unfinished":     {storeOf(func(st *checkup.Store) { st.Unfinished = 1 }), "kept KV", fine, []string{"1 file (0 B) that a process left unfinished"}},
		"being written":  {storeOf(func(st *checkup.Store) { st.InUse, st.Unfinished = true, 1 }), "kept KV", fine, []string{"only read"}},
		"a broken index": {storeOf(func(st *checkup.Store) { st.Index = checkup.IndexBroken }), "kept KV", warning, []string{"its index is broken", "--repair"}},
		"a wrong index":  {storeOf(func(st *checkup.Store) { st.IndexWrong = 3 }), "kept KV", warning, []string{"3 entries of its index"}},
		"unusable":       {storeOf(func(st *checkup.Store) { st.Unusable = "permission denied" }), "kept KV", problem, []string{"cannot be opened: permission denied", "permissions"}},
		"quarantine": {storeOf(func(st *checkup.Store) {
			st.Quarantine = []checkup.Aside{{Reason: "payload_checksum", Files: 2, Bytes: 1 << 20}, {Reason: "header_checksum", Files: 1}, {Reason: "logits", Files: 1}, {Reason: "new", Files: 1}}
		}), "quarantine", warning, []string{"5 files (1.0 MiB)", "1 × new, 1 × the model computed something else from it, 3 × a wrong checksum", "rm -r '/d/my kv/0123456789abcdef/quarantine'"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := healthy()
			c.change(&s)
			r := diagnose(s)
			require.Equal(t, c.want, r.Verdict, "and nothing else is wrong: %+v", r.Checks)
			text := ""
			for _, one := range r.Checks {
				require.Regexp(t, `^[^ ].*[^.?][.?]$`, one.Says, "one sentence")
				require.NotContains(t, one.Says+one.Do, "\n")
				if one.Name == c.check {
					require.Equal(t, c.want, one.Verdict)
					text = strings.Join(append([]string{one.Says}, one.Details...), " ") + " → " + one.Do
				}
			}
			for _, part := range c.says {
				require.Contains(t, text, part)
			}
		})
	}
}

func TestReportsAreAlignedAndBroken(t *testing.T) {
	r := doctorReport{Verdict: warning, Checks: []checked{
		{Name: "disk", Verdict: fine, Says: "Much is free."},
		{Name: "kept KV", Verdict: warning, Says: "The quick brown fox jumps over the lazy dog, and then over another.", Details: []string{"one", "  two"}, Do: "Look."},
	}}
	var out bytes.Buffer
	require.NoError(t, r.writeText(&out, terminal{}))
	require.Equal(t, `ok       disk     Much is free.
warning  kept KV  The quick brown fox jumps over the lazy dog, and then over another.
                  · one
                    · two
                  → Look.

No problem, but 1 warning.
`, out.String())
	out.Reset()
	require.NoError(t, r.writeText(&out, terminal{colours: true, columns: 60}))
	require.Contains(t, out.String(), "\x1b[33mwarning\x1b[0m  kept KV  The quick brown fox jumps over the lazy\n                  dog, and then over another.\n")
	out.Reset()
	require.NoError(t, doctorReport{Verdict: fine}.writeText(&out, terminal{}))
	require.Equal(t, "\nAll is well.\n", out.String())
	require.Equal(t, `'it'\''s here'`, quoted("it's here"))
}

func TestKnocking(t *testing.T) {
	answer := func(body string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/health", r.URL.Path)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s
	}
	at := func(s *httptest.Server) addressFacts { return knock(t.Context(), strings.TrimPrefix(s.URL, "http://")) }
	facts := at(answer(`{"state":"failed","reason":"It is cut.","version":"v7","model":{"id":"m"},"kept":{"on":true,"off":"full"}}`))
	require.NotNil(t, facts.health)
	require.Equal(t, []any{infer.StateFailed, "v7", "m", "full"}, []any{facts.health.State, facts.health.Version, facts.health.Model.ID, facts.health.Kept.Off})
	for _, body := range []string{`{"status":"ok"}`, "<html>", "", strings.Repeat("[", 2<<20)} {
		facts = at(answer(body))
		require.Nil(t, facts.health, "no samovar")
		require.Error(t, facts.err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.Equal(t, addressFacts{addr: ln.Addr().String()}, knock(t.Context(), ln.Addr().String()))
}

func TestWrongSettingsDoNotEndTheExamination(t *testing.T) {
	dir := settingsIn(t, "adr = 'x'")
	var found symptoms
	s, where := found.settings(map[string]string{"data-dir": dir, "addr": "127.0.0.1:5"}, env(nil))
	require.ErrorContains(t, found.settingsErr, `"adr"`)
	require.True(t, found.settingsThere)
	require.Equal(t, filepath.Join(dir, "settings.toml"), found.settingsFile)
	require.Equal(t, "127.0.0.1:5", s.Addr)
	require.Equal(t, filepath.Join(dir, "kv"), where.KeptDir())

	found = symptoms{}
	_, where = found.settings(nil, env(map[string]string{"SAMOVAR_CTX": "much", "SAMOVAR_DATA_DIR": dir}))
	require.ErrorContains(t, found.settingsErr, "SAMOVAR_CTX")
	require.Equal(t, filepath.Join(dir, "kv"), where.KeptDir())

	elsewhere := t.TempDir()
	found = symptoms{}
	_, where = found.settings(map[string]string{"data-dir": settingsIn(t, "keep_quota = '0'")}, env(map[string]string{"SAMOVAR_CHAT_TEMPLATE": elsewhere}))
	require.ErrorContains(t, found.settingsErr, "chat template")
	require.Zero(t, found.keepQuota)
	require.NotEqual(t, elsewhere, where.KeptDir())
}

func TestDisksAreLookedAtWithoutATrace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	where, err := paths.In(dir)
	require.NoError(t, err)
	var found symptoms
	found.disks(where)
	require.Equal(t, []folderFacts{{path: dir}}, found.folders)
	require.NoError(t, found.freeErr)
	require.Positive(t, found.free)
	require.NoDirExists(t, filepath.Dir(dir))

	kept, err := where.Kept()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(kept, 0o755))
	found = symptoms{}
	found.disks(where)
	require.Equal(t, []folderFacts{{path: dir, exists: true}, {path: kept, exists: true, open: true}}, found.folders)
	left, err := os.ReadDir(kept)
	require.NoError(t, err)
	require.Empty(t, left)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	where, err = paths.In(file)
	require.NoError(t, err)
	found = symptoms{}
	found.disks(where)
	require.ErrorIs(t, found.folders[0].err, syscall.ENOTDIR)
}

// The test's executable has no engine beside it.
func TestDoctorThroughTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	do := func(args ...string) (out, errs string, code int) {
		var o, e bytes.Buffer
		code = Run(t.Context(), Process{Args: append([]string{"doctor"}, args...), Stdout: &o, Stderr: &e,
			LookupEnv: env(map[string]string{"SAMOVAR_DATA_DIR": dir, "SAMOVAR_ADDR": "127.0.0.1:0"})})
		return o.String(), e.String(), code
	}
	out, errs, code := do()
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "the engine is missing")
	require.Contains(t, out, "guide takes about")
	require.Equal(t, "samovar: 1 of 7 checks found a problem\n", errs)

	out, _, code = do("--json", "--repair")
	require.Equal(t, exitFailed, code)
	var r doctorReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, problem, r.Verdict)
	require.Len(t, r.Checks, 7)
	require.Equal(t, filepath.Join(dir, "kv"), r.Kept.Dir)

	out, errs, code = do("--addr", "0.0.0.0:1")
	require.Equal(t, exitUsage, code)
	require.Empty(t, out)
	require.Contains(t, errs, "--addr")
}
