package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"samovar/app/browser"
	"samovar/app/config"
	"samovar/app/instance"
	"samovar/app/link"
	"samovar/app/paths"
	"samovar/app/window"
)

const (
	// startingWithin is how long a Samovar that has the data folder may take to answer:
	// one that was started with another at once.
	startingWithin = 5 * time.Second
	anotherPoll    = 50 * time.Millisecond
)

// another is a Samovar that serves from this data folder.
type another struct {
	running
	instance.Record
}

// errGone says that the data folder is free by now: whoever had it was on its way out.
var errGone = errors.New("the other samovar is gone")

// findAnother returns the one that serves. It waits for one that is about to; pid, if not
// 0, is whom it waits for, and errGone is returned once that one has left.
func findAnother(ctx context.Context, where paths.Paths, pid int, patience time.Duration) (another, error) {
	if where == (paths.Paths{}) {
		return another{}, errors.New("it is not known where the data folder is")
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(anotherPoll)
	defer tick.Stop()
	for {
		// The record may be left over from one that was killed.
		r, err := instance.Read(where.InstanceFile())
		if err == nil && (pid == 0 || r.PID == pid) {
			a := another{running{base: window.Base(r.Addr)}, r}
			if err = a.live(ctx); err == nil {
				return a, nil
			}
		} else if err == nil {
			err = errors.New("it does not listen yet")
		}
		if pid != 0 && where.Free() {
			return another{}, errGone
		}
		select {
		case <-tick.C:
		case <-late.C:
			return another{}, err
		case <-ctx.Done():
			return another{}, ctx.Err()
		}
	}
}

// live says whether it answers.
func (a another) live(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startingWithin)
	defer cancel()
	_, err := a.ask(ctx, http.MethodGet, "/health/live", nil)
	return err
}

// showAnother is what a second start does: it shows the Samovar that has the data folder,
// and says what it did. With errGone it may be the first itself.
func showAnother(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger, held *paths.HeldError) error {
	a, err := findAnother(ctx, where, held.PID, 0)
	if err != nil && !errors.Is(err, errGone) {
		fmt.Fprintln(p.Stderr, "Another samovar has the data folder and does not answer; it may be starting, or quitting. Waiting for it.")
		a, err = findAnother(ctx, where, held.PID, startingWithin)
	}
	if errors.Is(err, errGone) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (it does not answer)", held)
	}
	fmt.Fprintf(p.Stderr, "Samovar runs already (pid %d, version %s).\n", a.PID, a.Version)
	return a.show(ctx, p, inv, s, where, log, "")
}

// show shows a page, or what was shown last: in the window of the other one, in one of
// this process, or in a browser; and if nothing helps it says where it is.
func (a another) show(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger, page string) error {
	if a.Tray {
		_, err := a.ask(ctx, http.MethodPost, "/samovar/v1/desktop/open", map[string]string{"page": page})
		if err == nil {
			fmt.Fprintln(p.Stderr, "Its window is shown.")
			return nil
		}
		log.Debug("it shows no window", "err", err)
	}
	var blind noWindowError
	inv.page = page
	if err := windowCommand(ctx, p, inv, s, where, log); !errors.As(err, &blind) {
		return err
	}
	address := a.base + "/"
	if page != "" {
		address += "#" + page
	}
	if a.Tray && browser.OpenURL(address) == nil { // there is somebody to see it
		fmt.Fprintf(p.Stderr, "A browser is opened at %s\n", address)
		return nil
	}
	fmt.Fprintf(p.Stderr, "Its dashboard is at %s\n", address)
	return nil
}

// openCommand follows a link of our scheme, whoever made it: all that it does is to show a
// page. Without one it shows the dashboard as it was, which is what desktops do when
// somebody starts the app from their menu.
func openCommand(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths, log *slog.Logger) error {
	page := ""
	if inv.link != "" {
		var err error
		if page, err = pageOf(inv.link); err != nil {
			return usageError{err}
		}
	}
	a, err := findAnother(ctx, where, 0, 0)
	if err != nil && hasMenuBar {
		if err = startAnother(ctx, inv, where); err == nil {
			a, err = findAnother(ctx, where, 0, startingWithin)
		}
	} else if err != nil {
		err = errors.New("no samovar serves from this data folder; start one with `samovar serve`")
	}
	if err != nil {
		return err
	}
	return a.show(ctx, p, inv, s, where, log, page)
}

// pageOf is the dashboard's page that a link means.
func pageOf(text string) (string, error) {
	l, err := link.Parse(text)
	if err != nil {
		return "", err
	}
	if page := l.Path(); window.ValidPage(page) {
		return page, nil
	}
	return "", fmt.Errorf("the dashboard has no page %q", l.Page)
}

// startAnother starts a Samovar that outlives this process, and waits until it serves.
func startAnother(ctx context.Context, inv invocation, where paths.Paths) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	record := where.InstanceFile()
	return window.Starter{Command: append([]string{exe}, sameFolder(inv)...), Record: record, Log: filepath.Join(filepath.Dir(record), "start.log")}.Start(ctx)
}
