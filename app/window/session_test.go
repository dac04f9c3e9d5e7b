package window

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// drawn is a view that notes what it is told.
type drawn struct {
	done  []string
	place State
	ok    bool
	mends bool
}

func (d *drawn) Exec(js string)       { d.done = append(d.done, js) }
func (d *drawn) Raise()               { d.done = append(d.done, "raise") }
func (d *drawn) Background(dark bool) { d.done = append(d.done, fmt.Sprint("dark ", dark)) }
func (d *drawn) Place() (State, bool) { return d.place, d.ok }
func (d *drawn) Mend() bool           { d.done = append(d.done, "mend"); return d.mends }
func (d *drawn) Quit()                { d.done = append(d.done, "quit") }

func (d *drawn) take() []string {
	done := d.done
	d.done = nil
	return done
}

func newTestSession(t *testing.T, page string) (*session, *drawn) {
	t.Helper()
	v := &drawn{mends: true}
	s := newSession(Options{Record: filepath.Join(t.TempDir(), "instance.json"), Page: page, Log: slog.New(slog.DiscardHandler)}, time.Now())
	s.view = v
	s.fail = func() { v.done = append(v.done, "fail") }
	return s, v
}

func TestPagesAreShownOnceThePageIsThere(t *testing.T) {
	s, v := newTestSession(t, "/agents/one")
	require.Equal(t, "/agents/one", s.page())
	s.show("/logs") // before it is drawn
	s.show("")
	require.Equal(t, []string{"raise", "raise"}, v.take())
	require.Equal(t, "/logs", s.page())
	s.alive(Sign{Page: "/agents/one", Server: "connecting"}) // it began where it was told to first
	require.Equal(t, []string{"dark false", `location.hash = "#/logs"`}, v.take())
	s.alive(Sign{Page: "/logs", Server: "live"})
	require.Empty(t, v.take())
	s.show("/agents/\"")
	require.Equal(t, []string{`location.hash = "#/agents/\""`, "raise"}, v.take())
	s.alive(Sign{Page: "/logs", Server: "live", Dark: true})
	require.Equal(t, []string{"dark true"}, v.take())
}

func TestAPageThatDoesNotAnswerIsLoadedAgain(t *testing.T) {
	s, v := newTestSession(t, "")
	now := time.Unix(0, 0)
	beat := func() {
		now = now.Add(pulseEvery)
		s.beat(now)
	}
	beat()
	require.Equal(t, []string{pingJS}, v.take())
	for range 3 {
		beat()
	}
	require.Equal(t, []string{pingJS, pingJS, "mend"}, v.take())
	s.alive(Sign{Page: "/pool"})
	v.take()
	v.mends = false // as where only a new process can
	for range 4 {
		beat()
	}
	require.Equal(t, []string{pingJS, pingJS, pingJS, "mend", "fail"}, v.take())
	was, err := ReadState(s.path)
	require.NoError(t, err)
	require.Equal(t, "/pool", was.Page, "it is opened again where it was")
}

func TestThePageIsAskedWhileTheWindowIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, v := newTestSession(t, "")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.watch(ctx)
		}()
		time.Sleep(pulseEvery + time.Second)
		synctest.Wait()
		require.Equal(t, []string{pingJS}, v.take())
		stop()
		<-done
	})
}

func TestAPageThatDiesIsLoadedAgainButNotForEver(t *testing.T) {
	s, v := newTestSession(t, "")
	for range 5 {
		s.died("killed")
	}
	require.Equal(t, []string{"mend", "mend"}, v.take())
	s.alive(Sign{Page: "/pool"})
	v.take()
	s.died("killed")
	require.Equal(t, []string{"mend"}, v.take())
	s.show("/logs") // while it is being loaded
	require.Equal(t, []string{"raise"}, v.take())
}

func TestTheMenuBarCommandsTheWindow(t *testing.T) {
	s, v := newTestSession(t, "")
	s.alive(Sign{Page: "/pool"})
	v.take()
	parent, bar := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.obey(bufio.NewScanner(parent))
	}()
	_, err := io.WriteString(bar, "{\"show\":\"/logs\"}\n{\"show\":\"\"}\n")
	require.NoError(t, err)
	bar.Close()
	<-done
	require.Equal(t, []string{`location.hash = "#/logs"`, "raise", "raise", "quit"}, v.take())
	s.quit() // and not twice
	require.Empty(t, v.take())
}

func TestTheWindowRemembersWhereItWas(t *testing.T) {
	s, v := newTestSession(t, "/welcome")
	was := func() State {
		s.remember()
		state, err := ReadState(s.path)
		require.NoError(t, err)
		return state
	}
	v.place, v.ok = State{X: 1, Y: 2, Placed: true, Width: 900, Height: 600}, true
	normal := v.place
	normal.Page = "/overview" // the welcome is shown once
	require.Equal(t, normal, was())
	s.alive(Sign{Page: "/pool"})
	normal.Page = "/pool"
	v.place = State{Maximised: true, Width: 1920, Height: 1080}
	large := normal
	large.Maximised = true
	require.Equal(t, large, was(), "it keeps the size that it would have otherwise")
	v.place, v.ok = State{}, false // minimised
	require.Equal(t, large, was())
	v.place, v.ok = normal, true
	require.Equal(t, normal, was())
}

// The orders of its menu bar end with it, which is no reason to close it a second time.
func TestAWindowThatIsClosingIsClosedOnce(t *testing.T) {
	s, v := newTestSession(t, "/logs")
	v.place, v.ok = State{Placed: true, Width: 900, Height: 600}, true
	s.closing()
	s.obey(bufio.NewScanner(strings.NewReader("")))
	require.Empty(t, v.take())
	was, err := ReadState(s.path)
	require.NoError(t, err)
	require.Equal(t, State{Placed: true, Width: 900, Height: 600, Page: "/logs"}, was)
}
