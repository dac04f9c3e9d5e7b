package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/adrg/xdg"
	"github.com/google/renameio/v2"

	"samovar/app/config"
	"samovar/app/login"
	"samovar/app/paths"
	"samovar/app/window"
	"samovar/engine/infer"
	"samovar/server/control"
)

// opener shows a page of the dashboard in a window, or the window as it was if page is
// empty.
type opener interface{ Open(page string) error }

// desktop is how Samovar is there for its user: menu bar, window and login. Until a menu
// bar says that it is there, there is none.
type desktop struct {
	// base is where the dashboard is, for browsers.
	base     string
	welcomed string // the file that says so
	item     *login.Item

	mu      sync.Mutex
	menuBar bool
	window  opener
}

// newDesktop returns the desktop of a run. It touches nothing.
func newDesktop(p Process, inv invocation, where paths.Paths, base string) *desktop {
	return &desktop{base: base, welcomed: where.WelcomedFile(), item: loginItem(p, inv)}
}

// loginItem starts this program as it was started, as far as the data folder goes: a login
// does not have the variables of a terminal.
func loginItem(p Process, inv invocation) *login.Item {
	o := login.Options{GOOS: runtime.GOOS, ConfigHome: xdg.ConfigHome, UID: os.Getuid(), Run: runProgram}
	if home, err := os.UserHomeDir(); err == nil {
		o.Home = home
	}
	if path, err := os.Executable(); err == nil {
		o.Program = []string{path}
	}
	given, err := config.Resolve(config.FromFlags(inv.flags), config.FromEnv(p.LookupEnv))
	if err == nil && given.DataDir != "" {
		if dir, err := filepath.Abs(given.DataDir); err == nil {
			o.Program = append(o.Program, "--data-dir", dir)
		}
	}
	return login.New(o)
}

// runProgram runs a program of the system to its end.
func runProgram(ctx context.Context, name string, args ...string) error {
	return exec.CommandContext(ctx, name, args...).Run()
}

// has says that there is a menu bar, and a window if w is not nil.
func (d *desktop) has(w opener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.menuBar, d.window = true, w
}

// Desktop implements control.Desktop.
func (d *desktop) Desktop() control.DesktopView {
	d.mu.Lock()
	v := control.DesktopView{MenuBar: d.menuBar, Window: d.window != nil}
	d.mu.Unlock()
	_, err := os.Stat(d.welcomed)
	v.Welcome = errors.Is(err, fs.ErrNotExist)
	switch {
	case !v.MenuBar:
		v.Login.Why = "This Samovar has no menu bar. Have your service manager start `samovar serve`."
	case d.item.Why() != "":
		v.Login.Why = d.item.Why()
	default:
		v.Login.Supported = true
		if v.Login.Enabled, err = d.item.Enabled(); err != nil {
			v.Login = control.LoginView{Why: sentenceOf(err)}
		}
	}
	return v
}

// Open implements control.Desktop.
func (d *desktop) Open(page string) error {
	if page != "" && !window.ValidPage(page) {
		return &infer.Error{Code: infer.CodeInvalid, Param: "page", Message: "There is no such page.", Hint: "The pages are the dashboard's, such as /overview."}
	}
	d.mu.Lock()
	w := d.window
	d.mu.Unlock()
	if w == nil {
		return &infer.Error{Code: infer.CodeConflict, Message: "This Samovar has no window.", Hint: "Open " + d.base + " in a browser."}
	}
	if err := w.Open(page); err != nil {
		return &infer.Error{Code: infer.CodeConflict, Message: sentenceOf(err), Hint: "Open " + d.base + " in a browser.", Err: err}
	}
	return nil
}

// SetLogin implements control.Desktop.
func (d *desktop) SetLogin(ctx context.Context, enabled bool) error {
	if v := d.Desktop(); !v.Login.Supported {
		return &infer.Error{Code: infer.CodeConflict, Message: v.Login.Why}
	}
	if err := d.item.Set(ctx, enabled); err != nil {
		return &infer.Error{Code: infer.CodeConflict, Message: sentenceOf(err), Err: err}
	}
	return nil
}

// Welcomed implements control.Desktop.
func (d *desktop) Welcomed() error {
	dir := filepath.Dir(d.welcomed)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = renameio.WriteFile(d.welcomed, nil, 0o600, renameio.WithTempDir(dir))
	}
	if err != nil {
		return &infer.Error{Code: infer.CodeConflict, Message: "It cannot be noted that you have been welcomed: " + sentenceOf(err), Err: err}
	}
	return nil
}
