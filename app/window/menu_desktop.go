//go:build desktop

package window

import (
	"runtime"
	"strconv"

	"github.com/wailsapp/wails/v2/pkg/menu"
	"github.com/wailsapp/wails/v2/pkg/menu/keys"
	wails "github.com/wailsapp/wails/v2/pkg/runtime"
)

// menu is the window's. The roles are the Mac's own menus, which copy and paste depend on;
// on Linux they are nothing, and the toolkit has those keys by itself. Quitting ends the
// window's process and never the server: that is the menu bar's to do.
func (g *glass) menu() *menu.Menu {
	bar := menu.NewMenu()
	if runtime.GOOS == "darwin" {
		bar.Append(menu.AppMenu())
	}
	window := bar.AddSubmenu("File")
	window.AddText("Settings…", keys.CmdOrCtrl(","), g.goTo("/settings"))
	window.AddSeparator()
	window.AddText("Close Window", keys.CmdOrCtrl("w"), func(*menu.CallbackData) { g.session.quit() })
	if runtime.GOOS == "darwin" {
		bar.Append(menu.EditMenu())
	}
	view := bar.AddSubmenu("View")
	for i, p := range Pages {
		var shortcut *keys.Accelerator
		if i < 9 {
			shortcut = keys.CmdOrCtrl(strconv.Itoa(i + 1))
		}
		view.AddText(p.Title, shortcut, g.goTo("/"+p.ID))
	}
	view.AddSeparator()
	view.AddText("Reload", keys.CmdOrCtrl("r"), func(*menu.CallbackData) { g.Exec("location.reload()") })
	view.AddText("Full Screen", fullScreenKey(), func(*menu.CallbackData) { g.fullScreen() })
	if runtime.GOOS == "darwin" {
		bar.Append(menu.WindowMenu())
	}
	return bar
}

func (g *glass) goTo(page string) menu.Callback {
	return func(*menu.CallbackData) { g.session.show(page) }
}

// fullScreenKey is each system's own.
func fullScreenKey() *keys.Accelerator {
	if runtime.GOOS == "darwin" {
		return keys.Combo("f", keys.CmdOrCtrlKey, keys.ControlKey)
	}
	return keys.Key("f11")
}

func (g *glass) fullScreen() {
	if wails.WindowIsFullscreen(g.ctx) {
		wails.WindowUnfullscreen(g.ctx)
	} else {
		wails.WindowFullscreen(g.ctx)
	}
}
