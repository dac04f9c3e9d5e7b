//go:build desktop

package window

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	shell "github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"
	"github.com/wailsapp/wails/v2/pkg/options/mac"
	wails "github.com/wailsapp/wails/v2/pkg/runtime"
)

// Supported says whether this build has a window.
const Supported = true

// quitWithin is how long the toolkit may take to end: a quit that comes before its main
// loop runs is lost.
const quitWithin = 2 * time.Second

// Run shows the window until it is closed, its parent ends or ctx does. It must be called
// on the main goroutine. If another window of the data folder is there, that one shows
// the page, and Run returns at once.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := newSession(o, began)
	// No page means where it was: the other window knows better.
	only, err := claim(filepath.Dir(o.Record), o.Page)
	if errors.Is(err, errHandedOver) {
		o.Log.Info("the window that is open shows the page")
		return nil
	} else if err != nil {
		return err
	}
	defer only.release()
	if !prepare(filepath.Join(filepath.Dir(o.Record), "webkit")) {
		return ErrNoWindow
	}
	g := &glass{session: s, options: o, only: only, ready: make(chan struct{})}
	s.view = g
	s.fail = g.crash
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, g.end) // Wails ends by itself at a signal
	g.server = &Server{
		Files: o.Files, Record: o.Record, Otherwise: o.Otherwise, Downloads: o.Downloads, Log: o.Log,
		Page: s.page, Alive: s.alive, Browse: o.Browse, Copy: g.copy,
		Start: Starter{Command: o.Command, Record: o.Record, Log: filepath.Join(filepath.Dir(o.Record), "start.log")}.Start,
	}
	return g.run(ctx)
}

// glass is the window on the screen, by Wails: a view.
type glass struct {
	session *session
	options Options
	server  *Server
	only    *single

	ctx   context.Context // Wails's handle; valid once ready is closed
	ready chan struct{}
}

// run is the toolkit's main loop.
func (g *glass) run(ctx context.Context) error {
	s := g.session.state
	background := background(dark())
	app := &options.App{
		Title: "Samovar", Width: s.Width, Height: s.Height, MinWidth: minWidth, MinHeight: minHeight,
		BackgroundColour: options.NewRGB(background[0], background[1], background[2]),
		AssetServer:      &assetserver.Options{Assets: g.options.Files, Middleware: g.server.Middleware},
		Menu:             g.menu(),
		Logger:           wailsLog{g.options.Log},
		OnStartup:        func(wailsCtx context.Context) { g.start(ctx, wailsCtx) },
		OnBeforeClose: func(context.Context) bool {
			g.session.closing()
			g.only.release() // one that is asked for now is another one
			if g.options.Parent != nil {
				g.options.Parent.Close()
			}
			return false
		},
		EnableDefaultContextMenu: true, // copy and paste by mouse
		Linux:                    &linux.Options{Icon: icon, ProgramName: "samovar", WebviewGpuPolicy: linux.WebviewGpuPolicyNever},
		Mac:                      &mac.Options{About: &mac.AboutInfo{Title: "Samovar " + g.options.Version, Message: "Local models for agents, kept warm.", Icon: icon}, OnUrlOpen: g.follow},
	}
	if s.Maximised {
		app.WindowStartState = options.Maximised
	}
	return shell.Run(app)
}

// start begins what needs the window, once there is one; it runs beside the main loop.
func (g *glass) start(ctx, wailsCtx context.Context) {
	g.ctx = wailsCtx
	close(g.ready)
	attach(g)
	g.place()
	g.only.serve(g.session.show)
	if g.options.Parent != nil {
		go func() {
			g.session.obey(bufio.NewScanner(g.options.Parent))
			g.end()
		}()
	}
	g.session.watch(ctx)
}

// end makes sure that the process ends, though the toolkit may have lost the order to.
func (g *glass) end() {
	time.AfterFunc(quitWithin, func() { os.Exit(0) })
}

// crash ends the process so that the menu bar opens another one, or does so itself.
func (g *glass) crash() {
	if g.options.Parent == nil {
		g.only.release()
		if err := reopen(); err != nil {
			g.options.Log.Error("the window cannot be opened again", "err", err)
		}
	}
	os.Exit(1)
}

// place puts the window where the last one was. Wails puts it into the middle first; the
// question after its size is answered after that.
func (g *glass) place() {
	s := g.session.state
	wails.WindowGetSize(g.ctx)
	width, height := g.screen()
	fit := s.Fit(width, height)
	if fit.Width != s.Width || fit.Height != s.Height {
		wails.WindowSetSize(g.ctx, fit.Width, fit.Height)
	}
	if fit.Placed && !fit.Maximised {
		wails.WindowSetPosition(g.ctx, fit.X, fit.Y)
	}
}

// screen is the size of the one that the window is on.
func (g *glass) screen() (width, height int) {
	all, err := wails.ScreenGetAll(g.ctx)
	if err != nil {
		return 0, 0
	}
	for _, one := range all {
		if one.IsCurrent || len(all) == 1 {
			return one.Size.Width, one.Size.Height
		}
	}
	return 0, 0
}

// Exec implements view.
func (g *glass) Exec(js string) {
	<-g.ready
	wails.WindowExecJS(g.ctx, js)
}

// Raise implements view.
func (g *glass) Raise() {
	<-g.ready
	wails.WindowUnminimise(g.ctx)
	wails.WindowShow(g.ctx)
	front()
}

// Background implements view.
func (g *glass) Background(dark bool) {
	<-g.ready
	c := background(dark)
	wails.WindowSetBackgroundColour(g.ctx, c[0], c[1], c[2], 255)
}

// Place implements view.
func (g *glass) Place() (State, bool) {
	<-g.ready
	if wails.WindowIsMaximised(g.ctx) {
		return State{Maximised: true}, true
	}
	if !wails.WindowIsNormal(g.ctx) {
		return State{}, false
	}
	s := State{Placed: true}
	s.X, s.Y = wails.WindowGetPosition(g.ctx)
	s.Width, s.Height = wails.WindowGetSize(g.ctx)
	return s, true
}

// Mend implements view.
func (g *glass) Mend() bool { return reload() }

// Quit implements view.
func (g *glass) Quit() {
	<-g.ready
	wails.Quit(g.ctx)
}

func (g *glass) copy(text string) error { return wails.ClipboardSetText(g.ctx, text) }

// leave opens where a link leads, if that is the web.
func (g *glass) leave(url string) error {
	_, err := g.server.open(g.ctx, struct {
		URL string `json:"url"`
	}{url})
	return err
}

// follow shows the page of a link of our scheme.
func (g *glass) follow(link string) {
	page, err := g.options.Follow(link)
	if err != nil {
		g.options.Log.Warn("a link cannot be followed", "err", err)
		return
	}
	g.session.show(page)
}

// reopen starts this program anew, as it was started.
func reopen() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	keepPipes()
	return cmd.Start()
}
