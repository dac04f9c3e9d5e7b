package desktop

import (
	"bytes"
	"cmp"
	"encoding/json"
	"image"
	_ "image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/statusnotifier"
	"samovar/tests/samovartest"
)

const (
	// patience bounds every wait. It is long: it ends only what has failed.
	patience = 60 * time.Second
	// look is how often a wait looks.
	look = 20 * time.Millisecond
)

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// app is a samovar in a home of its own, which ends with the test.
type app struct {
	t    *testing.T
	cmd  *exec.Cmd
	home string
	log  *output
	item *statusnotifier.Item
	// exited is closed when the process has ended.
	exited chan struct{}
}

// setup is how an app differs from the usual.
type setup struct {
	args []string
	// env replaces what it names; an empty value takes it away.
	env map[string]string
	// home, if set, is another app's.
	home string
	// program, if set, is another build.
	program string
	// stdin, if set, is the process's standard input.
	stdin *os.File
}

// launch starts samovar on a bus. Without a command among its arguments it is the one
// with the menu bar.
func launch(t *testing.T, bus *statusnotifier.Bus, s setup) *app {
	t.Helper()
	if s.home == "" {
		s.home = t.TempDir()
	}
	a := &app{t: t, home: s.home, log: &output{}, exited: make(chan struct{})}
	a.fakeOpener()
	env := map[string]string{
		"HOME": a.home, "PATH": filepath.Join(a.home, "bin") + ":" + os.Getenv("PATH"), "SAMOVAR_LIB_DIR": built.Libs, "SAMOVAR_THREADS": "1",
		"SAMOVAR_DATA_DIR": a.dataDir(), "SAMOVAR_ADDR": "127.0.0.1:0", "SAMOVAR_ADDR_FILE": filepath.Join(a.home, "addr"),
		// Nobody is asked there: only that there is a display counts.
		"DISPLAY": ":none",
	}
	if bus != nil {
		env["DBUS_SESSION_BUS_ADDRESS"] = bus.Address
	}
	for name, value := range s.env {
		env[name] = value
	}
	a.cmd = exec.Command(cmp.Or(s.program, program("samovar")), s.args...)
	for name, value := range env {
		if value != "" {
			a.cmd.Env = append(a.cmd.Env, name+"="+value)
		}
	}
	if s.stdin != nil {
		a.cmd.Stdin = s.stdin
	}
	a.cmd.Stdout, a.cmd.Stderr, a.cmd.WaitDelay = a.log, a.log, 5*time.Second
	require.NoError(t, a.cmd.Start())
	go func() {
		_ = a.cmd.Wait() // ProcessState says how it ended
		close(a.exited)
	}()
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // it may have ended
		<-a.exited
		if !slices.Contains(s.args, "window") { // that one has no worker, and its server may still run
			samovartest.Released(t, a.dataDir())
		}
		if t.Failed() {
			t.Logf("output of samovar %s:\n%s", strings.Join(s.args, " "), a.log)
		}
	})
	return a
}

// inPanel starts samovar and waits for its place in a panel of its own.
func inPanel(t *testing.T, s setup) *app {
	t.Helper()
	bus := statusnotifier.StartBus(t)
	host := statusnotifier.NewHost(t, bus)
	a := launch(t, bus, s)
	a.item = host.Item(t)
	return a
}

func (a *app) dataDir() string { return filepath.Join(a.home, "data") }

// settings writes the settings file.
func settingsIn(t *testing.T, home, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(home, "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, "data", "settings.toml"), []byte(content), 0o600))
}

// fakeOpener stands in for the system's opener of addresses and files.
func (a *app) fakeOpener() {
	a.t.Helper()
	bin := filepath.Join(a.home, "bin")
	require.NoError(a.t, os.MkdirAll(bin, 0o700))
	script := "#!/bin/sh\necho \"$1\" >> '" + filepath.Join(a.home, "opened") + "'\n"
	require.NoError(a.t, os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(script), 0o700))
}

// opened waits until something was opened and says what.
func (a *app) opened() string {
	a.t.Helper()
	var text string
	a.await("something is opened", func() bool {
		raw, err := os.ReadFile(filepath.Join(a.home, "opened"))
		text = strings.TrimSpace(string(raw))
		return err == nil && text != ""
	})
	require.NoError(a.t, os.Remove(filepath.Join(a.home, "opened")))
	return text
}

func (a *app) await(what string, done func() bool) {
	a.t.Helper()
	require.Eventually(a.t, done, patience, look, what)
}

// base is the API's address, once it listens.
func (a *app) base() string {
	a.t.Helper()
	var addr string
	a.await("it listens", func() bool {
		raw, err := os.ReadFile(filepath.Join(a.home, "addr"))
		addr = strings.TrimSpace(string(raw))
		return err == nil
	})
	return "http://" + addr
}

// awaitEntry waits for a visible entry whose label begins with that.
func (a *app) awaitEntry(prefix string) statusnotifier.Entry {
	a.t.Helper()
	var e statusnotifier.Entry
	if !wait(func() (ok bool) {
		e, ok = statusnotifier.Find(a.item.Menu(a.t), prefix)
		return ok
	}) {
		require.Fail(a.t, "it is not in the menu", "%q\n%s", prefix, a.labels())
	}
	return e
}

func wait(done func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(look) {
		if done() {
			return true
		}
	}
	return false
}

// labels is the menu as a text.
func (a *app) labels() string {
	var all strings.Builder
	var add func(entries []statusnotifier.Entry, indent string)
	add = func(entries []statusnotifier.Entry, indent string) {
		for _, e := range entries {
			if e.Visible {
				all.WriteString(indent + e.Label + "\n")
				add(e.Children, indent+"  ")
			}
		}
	}
	add(a.item.Menu(a.t), "")
	return all.String()
}

// has says whether a visible entry's label begins with that.
func (a *app) has(prefix string) bool {
	_, ok := statusnotifier.Find(a.item.Menu(a.t), prefix)
	return ok
}

// click clicks the entry whose label begins with that, once it is there.
func (a *app) click(prefix string) {
	a.t.Helper()
	a.item.Click(a.t, a.awaitEntry(prefix))
}

// ends waits for the end of the process, says its code, and requires that nothing is left
// of it: no child, no lock.
func (a *app) ends() int {
	a.t.Helper()
	select {
	case <-a.exited:
	case <-time.After(patience):
		require.Fail(a.t, "it does not end")
	}
	for _, p := range processesOf(a.t, a.home) {
		require.Fail(a.t, "a process is left", p)
	}
	l := flock.New(filepath.Join(a.dataDir(), "state", "lock"))
	ok, err := l.TryLock()
	require.NoError(a.t, err)
	require.True(a.t, ok, "the data folder is still locked")
	require.NoError(a.t, l.Close())
	require.NoFileExists(a.t, filepath.Join(a.dataDir(), "state", "instance.json"))
	return a.cmd.ProcessState.ExitCode()
}

// processesOf lists the processes whose command line or folder is in a home.
func processesOf(t *testing.T, home string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && bytes.Contains(line, []byte(home)) {
			all = append(all, e.Name()+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}

// status is the engine's state by HTTP.
func (a *app) status() (s struct {
	State     string
	WorkerPID int `json:"worker_pid"`
	Active    int
}) {
	a.t.Helper()
	resp, err := http.Get(a.base() + "/samovar/v1/engine")
	require.NoError(a.t, err)
	defer resp.Body.Close()
	require.NoError(a.t, json.NewDecoder(resp.Body).Decode(&s))
	return s
}

// ask asks for an answer.
func (a *app) ask(tokens int, stream bool) *http.Response {
	a.t.Helper()
	body, err := json.Marshal(map[string]any{
		"messages": []map[string]string{{"role": "user", "content": "How do I connect?"}}, "max_tokens": tokens, "stream": stream,
	})
	require.NoError(a.t, err)
	resp, err := http.Post(a.base()+"/v1/chat/completions", "application/json", bytes.NewReader(body))
	require.NoError(a.t, err)
	a.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (a *app) signal(s syscall.Signal) {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(s))
}

// iconNames are the states that have a picture.
var iconNames = []string{"stopped", "starting", "ready", "busy", "attention"}

// nameOf says which state's picture an icon is.
func nameOf(t *testing.T, i statusnotifier.Icon) string {
	t.Helper()
	for _, name := range iconNames {
		if i.Same(picture(t, name)) {
			return name
		}
	}
	return ""
}

// picture is what a panel is sent for a state.
func picture(t *testing.T, name string) statusnotifier.Icon {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "app", "tray", "icons", "colour-"+name+".png"))
	require.NoError(t, err)
	defer f.Close()
	img, _, err := image.Decode(f)
	require.NoError(t, err)
	b := img.Bounds()
	icon := statusnotifier.Icon{Width: int32(b.Dx()), Height: int32(b.Dy())}
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, al := img.At(x, y).RGBA()
			icon.Pixels = append(icon.Pixels, byte(al), byte(r), byte(g), byte(bl))
		}
	}
	return icon
}

// awaitIcon waits until a state's picture is shown.
func (a *app) awaitIcon(name string) {
	a.t.Helper()
	a.await("the icon "+name, func() bool { return nameOf(a.t, a.item.Icon(a.t)) == name })
}
