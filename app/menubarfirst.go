//go:build tray || desktop

package app

import (
	"context"
	"time"
)

// openFirst opens what is to be seen without a click: the page of a link that the system
// had us started for, a newcomer's welcome, or the window if there is no panel to open it
// from.
func (m *menuBarRun) openFirst(ctx context.Context, o *service) {
	m.mu.Lock()
	page := m.linked
	m.linked = ""
	m.mu.Unlock()
	view := o.desktop.Desktop()
	switch {
	case ctx.Err() != nil: // it is to end already
		return
	case page != "": // in a browser, if there is no window
	case !view.Window:
		return
	case view.Welcome:
		page = welcomePage
	case m.awaitPanel(ctx) || ctx.Err() != nil:
		return
	}
	if err := m.Open(ctx, page); err != nil {
		o.log.Warn("the window cannot be opened", "err", err)
	}
}

// awaitPanel says whether a panel shows the menu, or will soon: at a login we may be there
// before it, and nobody wants a window at every login.
func (m *menuBarRun) awaitPanel(ctx context.Context) bool {
	late := time.NewTimer(panelSoon)
	defer late.Stop()
	look := time.NewTicker(panelPoll)
	defer look.Stop()
	for !m.session.Hosted() {
		select {
		case <-look.C:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// welcomePage is the dashboard's for newcomers.
const welcomePage = "/welcome"

// follow shows the page of a link of our scheme that somebody opened.
func (m *menuBarRun) follow(url string) {
	page, err := pageOf(url)
	if err != nil {
		m.log.Warn("a link cannot be followed", "err", err)
		return
	}
	m.mu.Lock()
	if m.opened == nil {
		m.linked = page
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	if err := m.Open(context.Background(), page); err != nil {
		m.log.Warn("a link cannot be followed", "err", err)
	}
}

// reopened shows the window, as a second start does: somebody looks for the app that runs.
// While nothing is served there is none, and the menu says why.
func (m *menuBarRun) reopened() {
	if err := m.Open(context.Background(), ""); err != nil {
		m.log.Info("somebody looks for Samovar, and there is nothing to show yet", "err", err)
	}
}
