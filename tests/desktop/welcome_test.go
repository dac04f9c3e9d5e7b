package desktop

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/screen"
	"samovar/tests/desktop/statusnotifier"
)

// A newcomer's start: the window is there by itself, one press brings a question that is
// ready, the next one its answer. Later starts leave the user in peace.
func TestANewcomersFirstMinute(t *testing.T) {
	s := screen.Start(t)
	hear := s.Reader()
	host := statusnotifier.NewHost(t, s.Bus)
	env := map[string]string{"LANG": "en_US.UTF-8", "GTK_THEME": "Adwaita"}
	maps.Copy(env, s.Env())
	program := desktopProgram(t)
	home := t.TempDir()
	start := func(args ...string) *app {
		_ = os.Remove(filepath.Join(home, "addr")) // an earlier one's
		return launch(t, s.Bus, setup{program: program, home: home, env: env, args: args})
	}
	began := time.Now()
	a := start()
	a.item = host.Item(t)
	window := s.AwaitWindow()
	hear.Await("Welcome – Samovar")
	hear.Press("Start with the guide")
	hear.Await("Try it – Samovar")
	hear.Press("Send")
	a.await("an answer", func() bool { return len(a.answers()) == 1 })
	took := time.Since(began)
	t.Logf("answered after two presses and %v", took.Round(time.Millisecond))
	require.Less(t, took, 30*time.Second, "5 s on a quiet machine; this one may be busy")
	s.Picture(pictures, "welcome-answered")

	// A second start shows the first one's window, and a link a page of it.
	s.Minimise(window)
	s.Await("it is out of sight", func() bool { return s.Focused() != window.ID })
	second := launch(t, s.Bus, setup{program: program, home: home, env: env})
	require.Zero(t, second.gone(), second.log)
	s.Await("it is in front", func() bool { return s.Focused() == window.ID })
	require.Zero(t, launch(t, s.Bus, setup{program: program, home: home, env: env, args: []string{"open", "samovar://pull/owner/repo"}}).gone())
	hear.Await("Download owner/repo?")
	require.Len(t, s.Windows(), 1)

	a.awaitEntry("Ready · guide")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
	s.AwaitNoWindow()
	a = start()
	a.item = host.Item(t)
	a.awaitEntry("Ready · guide")
	require.Empty(t, s.Windows(), "it has been welcomed")
	a.click("Quit Samovar")
	require.Zero(t, a.ends())
}

// answers are the requests that were answered.
func (a *app) answers() (done []string) {
	a.t.Helper()
	resp, err := http.Get(a.base() + "/samovar/v1/requests")
	require.NoError(a.t, err)
	defer resp.Body.Close()
	var all struct {
		Requests []struct{ ID, Outcome string }
	}
	require.NoError(a.t, json.NewDecoder(resp.Body).Decode(&all))
	for _, r := range all.Requests {
		if r.Outcome == "ok" {
			done = append(done, r.ID)
		}
	}
	return done
}
