package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"

	"samovar/app/browser"
	"samovar/app/config"
	"samovar/app/instance"
	"samovar/app/paths"
	"samovar/app/window"
	"samovar/engine"
)

// windowCommand shows the dashboard in a window of this process. It is a client: it works
// on whatever Samovar serves from the data folder, and without one says so.
func windowCommand(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) error {
	if inv.page != "" && !window.ValidPage(inv.page) {
		return usageError{fmt.Errorf("the dashboard has no page %q; there are /overview, /models, /connect and those of its rail", inv.page)}
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	o := window.Options{
		Files: p.Page, Page: inv.page,
		Record: where.InstanceFile(), Otherwise: window.Base(s.Addr),
		Command:   append([]string{exe}, sameFolder(inv)...),
		Downloads: xdg.UserDirs.Download, Browse: browser.OpenURL, Follow: pageOf,
		Version: engine.BuildVersion(), Log: log,
	}
	if inv.child {
		if o.Parent, err = window.Orders(); err != nil {
			return err
		}
	}
	if err = window.Run(ctx, o); errors.Is(err, window.ErrNoWindow) {
		return noWindowError{dashboardAddress(s, where)}
	}
	return err
}

// sameFolder are the flags with which another process of ours uses the same data folder.
// What the environment says, it is told by that.
func sameFolder(inv invocation) []string {
	dir, ok := inv.flags["data-dir"]
	if !ok || dir == "" {
		return nil
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return []string{"--data-dir", dir}
}

// dashboardAddress is where a browser finds the dashboard, or would.
func dashboardAddress(s config.Settings, where paths.Paths) string {
	if r, err := instance.Read(where.InstanceFile()); err == nil {
		return window.Base(r.Addr)
	}
	return window.Base(s.Addr)
}

// noWindowError says what to do without a window.
type noWindowError struct{ address string }

// Error says why there is none, and where the dashboard is.
func (e noWindowError) Error() string {
	why := "this build has no window"
	if window.Supported {
		why = "there is no display to show a window on"
	}
	return fmt.Sprintf("%s; while Samovar runs, its dashboard is at %s in a browser", why, e.address)
}
