package tray

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// status is a model in a state.
func status(id string, state infer.State) infer.Status {
	return infer.Status{State: state, Model: infer.Model{ID: id}}
}

// of is a snapshot of models, the default one first.
func of(models ...infer.Status) Snapshot {
	return Snapshot{Version: "1.2.3", Address: "http://127.0.0.1:7266", Default: models[0], Models: models, Title: TitleOff}
}

func with(s infer.Status, change func(*infer.Status)) infer.Status {
	change(&s)
	return s
}

func busy(id string, active, queued int) infer.Status {
	return with(status(id, infer.StateReady), func(s *infer.Status) { s.Active, s.Queued = active, queued })
}

func find(t *testing.T, s Snapshot, key string) Item {
	t.Helper()
	for _, it := range Items(s) {
		if it.Key == key {
			return it
		}
	}
	require.Fail(t, "no such item", key)
	return Item{}
}

// plain has ordinary spaces where numbers are padded.
func plain(title string) string { return strings.ReplaceAll(title, figure, " ") }

func TestStates(t *testing.T) {
	const m = "qwen3-4b"
	crashed := with(status(m, infer.StateStarting), func(s *infer.Status) {
		s.Restarts, s.Progress, s.Reason, s.Hint = 1, 0.42, "The engine died and is started again: killed.", "Nothing is lost."
	})
	failed := with(status(m, infer.StateFailed), func(s *infer.Status) { s.Reason, s.Hint = "The file is broken. It ends early.", "Download it again." })
	full := with(status(m, infer.StateReady), func(s *infer.Status) { s.Kept.On, s.Kept.Off = true, "The disk has 10 MB left." })
	odd := with(status(m, infer.StateReady), func(s *infer.Status) { s.Health.Warning = "Answers are empty." })
	quitting := func(s Snapshot, running int) Snapshot { s.Quitting, s.Running = true, running; return s }
	for name, c := range map[string]struct {
		s       Snapshot
		icon    Icon
		status  string
		power   string
		problem string
		hint    string
	}{
		"nothing known yet": {Snapshot{}, IconReady, "Starting", "Start", "", ""},
		"stopped":           {of(status(m, infer.StateStopped)), IconStopped, "Stopped", "Start", "", ""},
		"starting":          {of(with(status(m, infer.StateStarting), func(s *infer.Status) { s.Progress = 0.42 })), IconStarting, "Starting · 42 % · qwen3-4b", "Stop", "", ""},
		"ready":             {of(status(m, infer.StateReady)), IconReady, "Ready · qwen3-4b", "Stop", "", ""},
		"resting":           {of(status(m, infer.StateUnloaded)), IconReady, "Resting · qwen3-4b", "Start", "", ""},
		"busy":              {of(busy(m, 1, 0)), IconBusy, "Working · qwen3-4b · 1 request", "Stop", "", ""},
		"another is busy":   {of(busy(m, 0, 0), busy("b", 2, 3)), IconBusy, "Working · qwen3-4b · 5 requests", "Stop", "", ""},
		"stopping":          {of(status(m, infer.StateDraining)), IconStarting, "Stopping · saving", "Stop", "", ""},
		"failed":            {of(failed), IconAttention, "Failed: The file is broken", "Start again", "⚠ The file is broken. It ends early.", "Download it again."},
		"another failed":    {of(busy(m, 0, 0), with(failed, func(s *infer.Status) { s.Model.ID = "b" })), IconAttention, "Ready · qwen3-4b", "Stop", "⚠ b: The file is broken. It ends early.", "Download it again."},
		"crashed":           {of(crashed), IconAttention, "Starting again · 42 % · qwen3-4b", "Stop", "⚠ The engine died and is started again: killed.", "Nothing is lost."},
		"disk full":         {of(full), IconAttention, "Ready · qwen3-4b", "Stop", "⚠ Conversations are not saved. The disk has 10 MB left.", "Open Samovar to see what takes the space."},
		"odd answers":       {of(odd), IconAttention, "Ready · qwen3-4b", "Stop", "⚠ Answers are empty.", ""},
		"nothing served":    {Snapshot{Broken: Problem{"the port is taken", "Stop it."}}, IconAttention, "Failed: the port is taken", "Try again", "", "Stop it."},
		"quitting":          {quitting(of(busy(m, 2, 0)), 2), IconBusy, "Quitting · 2 requests are finishing", "Stop", "", ""},
		"quitting, saving":  {quitting(of(status(m, infer.StateDraining)), 0), IconBusy, "Quitting · saving", "Stop", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.icon, LookOf(c.s).Icon)
			require.Equal(t, c.status, StatusLine(c.s))
			require.Equal(t, "Samovar · "+c.status, LookOf(c.s).Tooltip)
			require.Equal(t, c.power, find(t, c.s, "power").Title)
			problem, hint := find(t, c.s, "problem"), find(t, c.s, "problem.hint")
			require.Equal(t, c.problem == "", problem.Hidden)
			require.Equal(t, c.hint == "", hint.Hidden)
			if c.problem != "" {
				require.Equal(t, c.problem, problem.Title)
			}
			require.Equal(t, c.hint, hint.Title)
		})
	}
}

// One problem is shown: the one that matters most.
func TestProblemsHaveAnOrder(t *testing.T) {
	s := of(status("m", infer.StateReady))
	s.Relief = "Models leave sooner."
	require.Equal(t, "⚠ Models leave sooner.", find(t, s, "problem").Title)
	s.Crash = Problem{"It died.", ""}
	require.Equal(t, "⚠ It died.", find(t, s, "problem").Title)
	require.Equal(t, IconReady, LookOf(s).Icon)
	s.Fresh = true
	require.Equal(t, IconAttention, LookOf(s).Icon)
	s.Fresh, s.Said = false, Problem{"That did not work.", "Try again."}
	require.Equal(t, "⚠ That did not work.", find(t, s, "problem").Title)
	s.Pulls = []infer.Pull{{Name: "a/b", State: infer.PullFailed, Error: "The disk is full.", Hint: "Make room."}}
	p := find(t, s, "problem")
	require.Equal(t, "⚠ The download of a/b failed. The disk is full.", p.Title)
	require.Equal(t, Order{Open, "/models"}, p.Order)
	require.Equal(t, IconReady, LookOf(s).Icon, "the page can tell; the engine is fine")
}

func TestModels(t *testing.T) {
	loading := with(status("c", infer.StateStarting), func(s *infer.Status) { s.Progress = 0.07 })
	s := of(status("b", infer.StateReady), loading, status("d", infer.StateUnloaded), status("e", infer.StateFailed))
	s.Here = []string{"b", "A_Q4_K_M"}
	var lines []string
	for _, it := range Items(s) {
		if strings.HasPrefix(it.Key, "model.") && !it.Hidden {
			tick := ""
			if it.Ticked {
				tick = "✓ "
			}
			lines = append(lines, fmt.Sprintf("%s%s %v", tick, it.Title, it.Order))
		}
	}
	require.Equal(t, []string{
		fmt.Sprintf("A_Q4_K_M %v", Order{Use, "A_Q4_K_M"}),
		fmt.Sprintf("✓ b · in memory %v", Order{Start, "b"}),
		fmt.Sprintf("c · loading 7 %% %v", Order{Use, "c"}),
		fmt.Sprintf("d %v", Order{Use, "d"}),
		fmt.Sprintf("e · failed %v", Order{Use, "e"}),
	}, lines)
	require.Equal(t, "Model: b", find(t, s, "models").Title)
}

func TestMoreModelsThanTheMenuHasRoomFor(t *testing.T) {
	s := of(status("zz", infer.StateReady))
	for i := range 20 {
		s.Here = append(s.Here, fmt.Sprintf("m%02d", i))
	}
	require.Equal(t, "zz · in memory", find(t, s, "model.0").Title, "the default one is always there")
	require.Equal(t, "m10", find(t, s, "model.11").Title)
	more := find(t, s, "model.more")
	require.False(t, more.Hidden)
	require.Equal(t, "9 more…", more.Title)
}

func TestDownloads(t *testing.T) {
	s := of(status("m", infer.StateReady))
	s.Pulls = []infer.Pull{
		{Name: "a/one", State: infer.PullRunning, Done: 420, Total: 1000}, {Name: "done", State: infer.PullDone},
		{Name: "two", State: infer.PullPaused}, {Name: "three", State: infer.PullVerifying}, {Name: "gone", State: infer.PullCancelled}, {Name: "four", State: infer.PullStarting},
	}
	var titles []string
	for i := range pullSlots {
		titles = append(titles, plain(find(t, s, fmt.Sprint("pull.", i)).Title))
	}
	require.Equal(t, []string{"↓ a/one ·  42 %", "↓ two · paused", "↓ three · checking", "↓ four · asking"}, titles)
}

func TestLiveNumbers(t *testing.T) {
	s := of(with(busy("m", 2, 1), func(s *infer.Status) { s.Pool = infer.Pool{Cells: 32768, Used: 12345} }))
	s.Speed = Speed{P50: 42 * time.Millisecond, P95: 1234 * time.Millisecond, Known: true, TokensPerSecond: 38.24}
	s.Agents = Agents{Hot: 3, Warm: 12, Known: true}
	require.Equal(t, "First token: p50  42 ms · p95 1.2  s", plain(find(t, s, "live.ttft").Title))
	require.Equal(t, "Speed:  38.2 tokens/s · 2 running, 1 waiting", plain(find(t, s, "live.speed").Title))
	require.Equal(t, "KV pool:  37 % of 32768 tokens", plain(find(t, s, "live.pool").Title))
	require.Equal(t, "Agents: 3 hot · 12 warm", plain(find(t, s, "live.agents").Title))
	s.Default.State = infer.StateStopped
	require.True(t, find(t, s, "live.agents").Hidden, "what they are now, nobody knows")
	s.Default.State = infer.StateReady
	for _, title := range []struct {
		of   Title
		want string
	}{{TitleOff, ""}, {TitleTTFT, "1.2  s"}, {TitleTPS, " 38.2 t/s"}} {
		s.Title = title.of
		require.Equal(t, title.want, plain(LookOf(s).Title))
	}
}

// Numbers that change every second must not make the menu, or the bar, jump.
func TestNumbersAreAlwaysAsWide(t *testing.T) {
	for d := time.Millisecond; d < 2*time.Hour; d = d*3/2 + time.Millisecond {
		require.Equal(t, utf8.RuneCountInString(span(0)), utf8.RuneCountInString(span(d)), "%v: %q", d, span(d))
	}
	for _, r := range []float64{-1, 0, 0.04, 9.99, 99.94, 99.96, 100, 12345.6, 1e9} {
		require.Equal(t, 5, utf8.RuneCountInString(rate(r)), "%v: %q", r, rate(r))
	}
	for _, p := range []float64{-1, 0, 0.099, 0.5, 1, 7} {
		require.Equal(t, 5, utf8.RuneCountInString(percent(p)), percent(p))
	}
}

func TestQuit(t *testing.T) {
	s := of(busy("m", 2, 0))
	require.Equal(t, "Quit Samovar", find(t, s, "quit").Title)
	s.Quitting, s.Running = true, 2
	require.Equal(t, "Quitting: 2 requests are finishing · click to quit now", find(t, s, "quit").Title)
	require.Equal(t, Order{Verb: Quit}, find(t, s, "quit").Order)
	s.Running = 1
	require.Equal(t, "Quitting: 1 request is finishing · click to quit now", find(t, s, "quit").Title)
	s.Running = 0
	require.True(t, find(t, s, "quit").Disabled)
	for _, it := range Items(s) {
		require.True(t, it.Disabled || it.Hidden || it.Separator || it.In != "", "%s can be clicked while it quits", it.Key)
	}
}

func TestWhatNeedsAServerIsOffWithoutOne(t *testing.T) {
	s := Snapshot{Broken: Problem{"a setting is wrong", ""}, SettingsFile: "/s.toml"}
	for _, key := range []string{"open", "copy", "connect", "models", "about"} {
		require.True(t, find(t, s, key).Disabled, key)
	}
	require.Equal(t, Order{OpenFile, "/s.toml"}, find(t, s, "settings").Order)
	s.SettingsFile = ""
	require.True(t, find(t, s, "settings").Hidden)
}

func TestLogin(t *testing.T) {
	s := of(status("m", infer.StateReady))
	require.True(t, find(t, s, "login").Hidden)
	s.Login = Login{Supported: true}
	require.Equal(t, Order{SetLogin, "true"}, find(t, s, "login").Order)
	s.Login.Enabled = true
	login := find(t, s, "login")
	require.True(t, login.Ticked)
	require.Equal(t, Order{SetLogin, "false"}, login.Order)
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"}, {" a\n\tb  c ", "a b c"}, {"a\x00b\x1b[31m", "ab[31m"}, {"a\xffb", "a�b"},
		{"s\u202egnp.exe", "sgnp.exe"}, {"", ""}, {"0123456789abc", "012345678…"}, {"abcdefgh  jkl", "abcdefgh…"}, {"日本語日本語日本語日本", "日本語日本語日本語…"},
	} {
		require.Equal(t, c.want, clean(c.in, 10), "%q", c.in)
	}
}

// Whatever names, reasons and numbers a snapshot has: the items are the same ones, their
// texts fit and are what every system can show.
func TestAnySnapshotMakesAMenu(t *testing.T) {
	keys := func(s Snapshot) (all []string) {
		for _, it := range Items(s) {
			all = append(all, it.In+"/"+it.Key)
		}
		return all
	}
	want := keys(Snapshot{})
	seen := map[string]bool{}
	for _, k := range want {
		require.False(t, seen[k], "%s is there twice", k)
		seen[k] = true
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := anySnapshot(rng)
		require.Equal(t, want, keys(s))
		between := 0 // lines, which cannot be hidden
		for _, it := range Items(s) {
			if it.Separator && it.In == "" {
				require.NotZero(t, between, "nothing is shown above %s", it.Key)
				between = 0
			} else if !it.Hidden && it.In == "" {
				between++
			}
		}
		for _, it := range Items(s) {
			for _, text := range []string{it.Title, it.Tooltip} {
				require.True(t, utf8.ValidString(text), "%s: %q", it.Key, text)
				require.NotContains(t, text, "\x00")
				require.False(t, strings.ContainsFunc(text, unicode.IsControl), "%s: %q", it.Key, text)
			}
			require.LessOrEqual(t, utf8.RuneCountInString(it.Title), longest, "%s: %q", it.Key, it.Title)
			require.LessOrEqual(t, utf8.RuneCountInString(it.Tooltip), longestTip)
			require.True(t, it.Separator || it.Hidden || it.Title != "", "%s says nothing", it.Key)
		}
		look := LookOf(s)
		require.Contains(t, Icons, look.Icon)
		require.True(t, utf8.ValidString(look.Tooltip) && look.Tooltip != "")
	}
}

func anySnapshot(rng *rand.Rand) Snapshot {
	text := func() string {
		b := make([]byte, rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.UintN(256))
		}
		return string(b)
	}
	problem := func() Problem {
		if rng.IntN(3) > 0 {
			return Problem{}
		}
		return Problem{text(), text()}
	}
	model := func() infer.Status {
		return infer.Status{
			State: append(infer.States, "", "new")[rng.IntN(len(infer.States)+2)], Progress: rng.Float64()*4 - 2, Reason: text(), Hint: text(),
			Restarts: rng.IntN(3), Active: rng.IntN(1e6), Queued: rng.IntN(1e6), Model: infer.Model{ID: text()},
			Pool: infer.Pool{Cells: rng.IntN(3), Used: rng.IntN(1e9)}, Kept: infer.Kept{On: rng.IntN(2) > 0, Off: text()}, Health: infer.Health{Warning: text()},
		}
	}
	s := Snapshot{
		Version: text(), Address: text(), Broken: problem(), Quitting: rng.IntN(4) == 0, Running: rng.IntN(3), Relief: text(), Said: problem(), Crash: problem(), Fresh: rng.IntN(2) > 0,
		Speed:  Speed{P50: time.Duration(rng.Int64()), P95: -time.Duration(rng.Int64()), Known: rng.IntN(2) > 0, TokensPerSecond: rng.NormFloat64() * 1e6},
		Agents: Agents{rng.IntN(1e6), rng.IntN(1e6), true}, Title: []Title{TitleOff, TitleTTFT, TitleTPS}[rng.IntN(3)], Login: Login{rng.IntN(2) > 0, true}, SettingsFile: text(),
	}
	for range rng.IntN(20) {
		s.Models, s.Here = append(s.Models, model()), append(s.Here, text())
		s.Pulls = append(s.Pulls, infer.Pull{Name: text(), State: []infer.PullState{infer.PullRunning, infer.PullFailed, infer.PullPaused, "new"}[rng.IntN(4)], Done: rng.Int64(), Total: rng.Int64(), Error: text()})
	}
	s.Default = model()
	if len(s.Models) > 0 {
		s.Default = s.Models[0]
	}
	return s
}
