//go:build tray || desktop

package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/atotto/clipboard"

	"samovar/app/browser"
	"samovar/app/config"
	"samovar/app/tray"
	"samovar/engine/models/registry"
)

// errNotServing answers orders that need a service while there is none.
var errNotServing = errors.New("nothing is served at the moment")

// serving returns what serves.
func (m *menuBarRun) serving() (*service, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened == nil {
		return nil, errNotServing
	}
	return m.opened, nil
}

// Start implements tray.Actions.
func (m *menuBarRun) Start(_ context.Context, model string) error {
	o, err := m.serving()
	if err == nil {
		return o.fleet.Start(model)
	}
	select {
	case m.retries <- struct{}{}:
	default: // it tries already
	}
	return nil
}

// Stop implements tray.Actions.
func (m *menuBarRun) Stop(ctx context.Context) error {
	o, err := m.serving()
	if err != nil {
		return err
	}
	return o.fleet.Stop(ctx, "")
}

// Use implements tray.Actions: the choice goes to the settings file, and comes out again
// if the model cannot be loaded.
func (m *menuBarRun) Use(ctx context.Context, model string) error {
	o, err := m.serving()
	if err != nil {
		return err
	}
	value := model
	if l, ok := o.library.Find(ctx, model); ok && l.Origin == registry.OriginFile {
		value = l.Path // its name alone would mean nothing after a restart
	}
	before, err := o.desk.setNow("model", &value)
	if err != nil {
		return err
	}
	if using := o.fleet.Status().Model.ID; using == model {
		return nil
	}
	stronger, _, err := o.desk.describe()
	if err == nil {
		_, err = o.desk.setNow("model", before)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"model", "shape"} {
		if v := stronger[name]; v.Text != "" && v.Text != value {
			return &tray.Advice{Problem: tray.Problem{Text: fmt.Sprintf("The model is set by %s.", v.Origin), Hint: "Leave that out to choose one here."}}
		}
	}
	return &tray.Advice{Problem: tray.Problem{Text: fmt.Sprintf("The model %s cannot be used now.", model), Hint: "The log says why."}}
}

// Open implements tray.Actions.
func (m *menuBarRun) Open(_ context.Context, page string) error {
	o, err := m.serving()
	if err != nil {
		return err
	}
	if o.desktop.Desktop().Window {
		return o.desktop.Open(page)
	}
	address := o.desktop.base + "/"
	if page != "" {
		address += "#" + page
	}
	if err := browser.OpenURL(address); err != nil {
		return &tray.Advice{Problem: tray.Problem{Text: "No browser could be opened.", Hint: "The address is " + address}}
	}
	return nil
}

// OpenFile implements tray.Actions.
func (m *menuBarRun) OpenFile(_ context.Context, path string) error { return browser.OpenFile(path) }

// Copy implements tray.Actions.
func (m *menuBarRun) Copy(context.Context) error {
	o, err := m.serving()
	if err != nil {
		return err
	}
	endpoint := o.desktop.base + "/v1"
	if err := clipboard.WriteAll(endpoint); err != nil {
		return &tray.Advice{Problem: tray.Problem{Text: "The endpoint is " + endpoint, Hint: "It could not be copied: wl-copy, xclip or xsel would do that."}}
	}
	return nil
}

// Login implements tray.Actions.
func (m *menuBarRun) Login(ctx context.Context, enabled bool) error {
	o, err := m.serving()
	if err != nil {
		return err
	}
	defer m.changed()
	err = o.desktop.SetLogin(ctx, enabled)
	m.mu.Lock()
	m.seen.login = loginOf(o)
	m.mu.Unlock()
	return err
}

// Quit implements tray.Actions.
func (m *menuBarRun) Quit() {
	m.mu.Lock()
	again, o := m.leaving, m.opened
	m.mu.Unlock()
	if !again {
		m.quit(quitPatience)
	} else if o != nil {
		o.api.Hurry()
	}
}

// setNow writes a setting to the file and returns once it is applied, or not; before is
// what the file had.
func (a *admin) setNow(name string, value *string) (before *string, err error) {
	a.mu.Lock()
	_, file, err := a.describe()
	if err == nil {
		if v, ok := file[name]; ok {
			before = &v.Text
		}
		err = config.Edit(a.where.SettingsFile(), name, value)
	}
	a.mu.Unlock()
	if err != nil {
		return nil, &tray.Advice{Problem: tray.Problem{Text: sentenceOf(err), Hint: "Put it right in the settings file."}}
	}
	a.reload(a.ctx)
	return before, nil
}
