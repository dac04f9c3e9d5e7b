//go:build tray || desktop

package tray

import (
	"context"
	"runtime"
	"sync"

	"fyne.io/systray"
)

// Options are what Run needs.
type Options struct {
	Source  Source
	Actions Actions
	// Exit is called, once, when the system ends the process with the menu bar (macOS:
	// somebody logs out). What must be done before the process ends is done before it
	// returns. It is not called when ctx has ended Run.
	Exit func()
	// URL takes the links of our scheme that the system hands to this process, and Reopened
	// is called when somebody opens the app that runs (macOS: elsewhere that comes as
	// another process). Either may be nil. They may come before the menu is there.
	URL      func(url string)
	Reopened func()
}

// Run shows the menu until ctx is done. It must be called on the main goroutine, once in
// a process.
func Run(ctx context.Context, o Options) {
	// There, the name of the item in the panel's own settings; on macOS, what stands beside
	// the icon.
	if runtime.GOOS != "darwin" {
		systray.SetTitle(appName)
	}
	takeEvents(o)
	var serving sync.WaitGroup
	var once sync.Once
	ready := func() {
		serving.Go(func() {
			// Whatever is asked of systray before its loop runs can be lost, so it is asked
			// to end from here only.
			defer systray.Quit()
			newMenu(native{}, o.Source, o.Actions).serve(ctx)
		})
	}
	systray.Run(ready, func() {
		// On macOS, this is called when the system ends us, and never for systray.Quit; on
		// Linux for systray.Quit only.
		if o.Exit != nil && ctx.Err() == nil {
			once.Do(o.Exit)
		}
	})
	serving.Wait()
}

// appName is how panels call us.
const appName = "Samovar"

// native is the real bar.
type native struct{}

func (native) setIcon(i Icon) {
	quietly(func() { systray.SetTemplateIcon(picture(i, true), picture(i, false)) })
}

func (native) setTitle(text string) {
	if runtime.GOOS != "darwin" && text != "" {
		text = appName + " · " + text
	} else if runtime.GOOS != "darwin" {
		text = appName
	}
	systray.SetTitle(text)
}

func (native) setTooltip(text string) { systray.SetTooltip(text) }

// parents are the items with submenus, by key.
var parents = map[string]*systray.MenuItem{}

func (native) add(it Item, clicks chan<- string) entry {
	in := parents[it.In]
	if it.Separator {
		if in != nil {
			in.AddSeparator()
		} else {
			systray.AddSeparator()
		}
		return nil
	}
	var item *systray.MenuItem
	switch title := label(it.Title); {
	case in != nil && it.Mark:
		item = in.AddSubMenuItemCheckbox(title, it.Tooltip, it.Ticked)
	case in != nil:
		item = in.AddSubMenuItem(title, it.Tooltip)
	case it.Mark:
		item = systray.AddMenuItemCheckbox(title, it.Tooltip, it.Ticked)
	default:
		item = systray.AddMenuItem(title, it.Tooltip)
	}
	if it.In == "" {
		parents[it.Key] = item
	}
	if it.Disabled {
		item.Disable()
	}
	if it.Hidden {
		item.Hide()
	}
	// A click is dropped unless somebody receives it at once. The items stay as long as
	// the process.
	go func() {
		for range item.ClickedCh {
			clicks <- it.Key
		}
	}()
	return nativeEntry{item}
}

// nativeEntry is a real item.
type nativeEntry struct{ item *systray.MenuItem }

func (e nativeEntry) setTitle(text string)   { e.item.SetTitle(label(text)) }
func (e nativeEntry) setTooltip(text string) { e.item.SetTooltip(text) }

func (e nativeEntry) setTicked(ticked bool) {
	if ticked {
		e.item.Check()
	} else {
		e.item.Uncheck()
	}
}

func (e nativeEntry) setDisabled(disabled bool) {
	if disabled {
		e.item.Disable()
	} else {
		e.item.Enable()
	}
}

func (e nativeEntry) setHidden(hidden bool) {
	if hidden {
		e.item.Hide()
	} else {
		e.item.Show()
	}
}
