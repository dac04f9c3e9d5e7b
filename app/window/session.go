package window

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// view is the window on the screen, as the glue to the toolkit shows it.
type view interface {
	// Exec runs a line of JavaScript in the page.
	Exec(js string)
	// Raise brings the window to the front.
	Raise()
	// Background colours what the page doesn't cover.
	Background(dark bool)
	// Place tells where the window is, and how large; ok is false while it is minimised
	// or fills the screen otherwise than as maximised.
	Place() (now State, ok bool)
	// Mend loads a page that died again; it returns false if this one cannot.
	Mend() bool
	// Quit ends the main loop, and so the process.
	Quit()
}

// session is what the window's process knows while it shows the page.
type session struct {
	path string // of the state file
	log  *slog.Logger
	view view
	// fail ends the process as one that crashed: it is opened again.
	fail func()

	mu      sync.Mutex
	state   State
	wanted  string // a page that was asked for before the page could be told
	pulse   pulse
	last    Sign
	began   time.Time
	quitted bool
}

func newSession(o Options, began time.Time) *session {
	s := &session{path: filepath.Join(filepath.Dir(o.Record), "window.json"), log: o.Log, began: began}
	var err error
	if s.state, err = ReadState(s.path); err != nil {
		o.Log.Warn(err.Error())
	}
	if o.Page != "" {
		s.state.Page = o.Page
	}
	return s
}

// page is where the page begins.
func (s *session) page() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Page
}

// show brings the window to the front, at a page if one is given.
func (s *session) show(page string) {
	s.mu.Lock()
	there := s.last != (Sign{})
	if page != "" && !there {
		s.state.Page, s.wanted = page, page
	}
	s.mu.Unlock()
	if page != "" && there {
		s.view.Exec(goTo(page))
	}
	s.view.Raise()
}

// goTo is JavaScript that shows a page.
func goTo(page string) string {
	hash, err := json.Marshal("#" + page)
	if err != nil { // a string always can be
		panic(err)
	}
	return "location.hash = " + string(hash)
}

// alive hears a sign of life.
func (s *session) alive(sign Sign) {
	s.mu.Lock()
	was := s.last
	s.last = sign
	s.pulse.heard()
	wanted := s.wanted
	s.wanted = ""
	if sign.Page != "" {
		s.state.Page = sign.Page
	}
	s.mu.Unlock()
	if was == (Sign{}) {
		s.log.Info("the window shows the page", "title", sign.Title, "after_ms", time.Since(s.began).Milliseconds())
	}
	if sign.Server != was.Server {
		s.log.Info("the window's page and its server", "server", sign.Server)
	}
	if sign.Dark != was.Dark || was == (Sign{}) {
		s.view.Background(sign.Dark)
	}
	if wanted != "" && wanted != sign.Page {
		s.view.Exec(goTo(wanted))
	}
}

// pingJS asks the page for a sign of life.
const pingJS = `dispatchEvent(new Event("samovar-ping"))`

// watch looks after the page until ctx is done.
func (s *session) watch(ctx context.Context) {
	every := time.NewTicker(pulseEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			s.beat(now)
		}
	}
}

func (s *session) beat(now time.Time) {
	s.mu.Lock()
	what := s.pulse.next(now)
	s.mu.Unlock()
	switch what {
	case ping:
		s.view.Exec(pingJS)
	case mend:
		s.log.Warn("the window's page doesn't answer and is loaded again")
		s.mend()
	case leave:
		s.log.Error("the window's page doesn't answer, and loading it again doesn't help")
	}
}

// died is told that the process behind the page ended.
func (s *session) died(why string) {
	s.mu.Lock()
	s.pulse.mends++
	often := s.pulse.mends > mostMends
	s.mu.Unlock()
	if often {
		s.log.Error("the window's page died again and is left alone", "why", why)
		return
	}
	s.log.Warn("the window's page died and is loaded again", "why", why)
	s.mend()
}

func (s *session) mend() {
	s.mu.Lock()
	s.last = Sign{}
	s.mu.Unlock()
	if !s.view.Mend() {
		s.remember()
		s.fail()
	}
}

// obey does what the menu bar says, until it ends or ctx is done; then the window does.
func (s *session) obey(parent *bufio.Scanner) {
	readPages(parent, func(page string) bool {
		s.show(page)
		return true
	})
	s.quit()
}

// quit ends the window, once.
func (s *session) quit() {
	s.mu.Lock()
	before := s.quitted
	s.quitted = true
	s.mu.Unlock()
	if !before {
		s.view.Quit()
	}
}

// closing is told that the window is about to close, whoever wants that.
func (s *session) closing() {
	s.mu.Lock()
	s.quitted = true
	s.mu.Unlock()
	s.remember()
}

// remember keeps where the window is and what it shows.
func (s *session) remember() {
	now, ok := s.view.Place()
	s.mu.Lock()
	if now.Maximised {
		s.state.Maximised = true
	} else if ok {
		now.Page = s.state.Page
		s.state = now
	}
	keep := s.state
	s.mu.Unlock()
	if keep.Page == "/"+welcome {
		keep.Page = "/" + Pages[0].ID
	}
	if err := keep.Write(s.path); err != nil {
		s.log.Warn(err.Error())
	}
}
