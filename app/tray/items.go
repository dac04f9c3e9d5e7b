package tray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"samovar/engine/infer"
)

// Item is one line of the menu.
type Item struct {
	// Key names it for ever: the menu has the same items all its life, in the same order.
	Key string
	// In is the key of the item whose submenu it stands in; empty is the menu itself.
	In      string
	Title   string
	Tooltip string
	// Separator is a line between items, and nothing else.
	Separator bool
	// Mark says that it can have a tick, Ticked that it has it.
	Mark, Ticked bool
	Disabled     bool
	Hidden       bool
	// Order is what a click asks for.
	Order Order
}

const (
	// modelSlots and pullSlots are how many models and downloads the menu shows; the page
	// has all of them.
	modelSlots = 12
	pullSlots  = 4
)

// Items says what the menu is for a snapshot. Whatever the snapshot, it has the same
// keys in the same order.
func Items(s Snapshot) []Item {
	var all []Item
	all = append(all, head(s)...)
	all = append(all, models(s)...)
	all = append(all, live(s)...)
	return append(all, foot(s)...)
}

func line(key string) Item { return Item{Key: key, Separator: true} }

// head is how things are, and the one thing to do about it.
func head(s Snapshot) []Item {
	p := problemOf(s)
	details := Order{Open, p.page}
	if s.Broken != (Problem{}) {
		details = Order{} // nothing is served that could be opened
	}
	problem := Item{Key: "problem", Title: clean("⚠ "+p.Text, longest), Tooltip: clean(p.Text+" "+p.Hint, longestTip), Order: details}
	problem.Hidden = problem.Tooltip == ""
	mend := Item{Key: "problem.hint", Title: clean(p.Hint, longest), Tooltip: clean(p.Hint, longestTip), Order: details}
	mend.Hidden = mend.Title == ""
	// Once is enough: the status may have said it all, and the hint can be clicked, too.
	if said := strings.TrimSuffix(clean(p.Text, longest), "."); "Failed: "+said == StatusLine(s) {
		problem.Hidden = !mend.Hidden
	}
	problem.Disabled, mend.Disabled = details == Order{}, details == Order{}
	power := Item{Key: "power", Title: "Stop", Order: Order{Verb: Stop}, Disabled: s.Quitting}
	switch {
	case s.Broken != (Problem{}):
		power.Title, power.Order = "Try again", Order{Verb: Start}
	case s.Default.State == infer.StateFailed:
		power.Title, power.Order = "Start again", Order{Verb: Start}
	case s.Default.State == infer.StateStopped, s.Default.State == infer.StateUnloaded, s.Default.State == "":
		power.Title, power.Order = "Start", Order{Verb: Start}
	case s.Default.State == infer.StateDraining:
		power.Disabled = true
	}
	return []Item{
		{Key: "status", Title: StatusLine(s), Disabled: true},
		problem, mend,
		line("line.power"), power,
	}
}

// models is the submenu of models and downloads.
func models(s Snapshot) []Item {
	const in = "models"
	title := "Models"
	if s.Default.Model.ID != "" {
		title = "Model: " + clean(s.Default.Model.ID, longestName)
	}
	off := s.Broken != (Problem{}) || s.Quitting
	// The line is here, since there is always something between it and the next: lines
	// cannot be hidden.
	all := []Item{line("line.live"), {Key: in, Title: title, Disabled: off}}
	names := modelNames(s)
	for i := range modelSlots {
		it := Item{Key: fmt.Sprint("model.", i), In: in, Mark: true, Hidden: true}
		if i < len(names) {
			it = modelItem(s, it, names[i])
		}
		all = append(all, it)
	}
	more := len(names) - modelSlots
	all = append(all,
		Item{Key: "model.more", In: in, Title: fmt.Sprintf("%d more…", max(more, 0)), Hidden: more <= 0, Order: Order{Open, "/models"}},
		Item{Key: "line.models", In: in, Separator: true})
	pulls := unfinished(s.Pulls)
	for i := range pullSlots {
		it := Item{Key: fmt.Sprint("pull.", i), In: in, Hidden: true, Order: Order{Open, "/models"}}
		if i < len(pulls) {
			it.Hidden, it.Title = false, pullTitle(pulls[i])
			it.Tooltip = clean(pulls[i].Error+" "+pulls[i].Hint, longestTip)
		}
		all = append(all, it)
	}
	return append(all, Item{Key: "get", In: in, Title: "Get a model…", Order: Order{Open, "/models"}})
}

// modelNames are those that can be chosen: the engine's, then what else is here, by name
// so that they stay where they are.
func modelNames(s Snapshot) []string {
	var names []string
	for _, m := range s.Models {
		names = append(names, m.Model.ID)
	}
	for _, n := range s.Here {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	// The default one is shown even where there are too many.
	if i := slices.Index(names, s.Default.Model.ID); i >= modelSlots {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, s.Default.Model.ID)
	}
	return names
}

func modelItem(s Snapshot, it Item, name string) Item {
	it.Hidden, it.Title, it.Tooltip = false, cmp.Or(clean(name, longestName), "?"), "Use this model for requests that name none."
	it.Ticked = name == s.Default.Model.ID
	it.Order = Order{Use, name}
	if it.Ticked {
		it.Order, it.Tooltip = Order{Start, name}, "This model answers requests that name none."
	}
	i := slices.IndexFunc(s.Models, func(m infer.Status) bool { return m.Model.ID == name })
	if i < 0 {
		return it
	}
	switch m := s.Models[i]; m.State {
	case infer.StateReady:
		it.Title += " · in memory"
	case infer.StateStarting:
		it.Title += " · loading " + strings.TrimLeft(percent(m.Progress), figure)
	case infer.StateDraining:
		it.Title += " · leaving"
	case infer.StateFailed:
		it.Title += " · failed"
		it.Tooltip = clean(m.Reason+" "+m.Hint, longestTip)
	}
	return it
}

// unfinished are the downloads that somebody waits for.
func unfinished(pulls []infer.Pull) []infer.Pull {
	return slices.DeleteFunc(slices.Clone(pulls), func(p infer.Pull) bool {
		return p.State == infer.PullDone || p.State == infer.PullCancelled
	})
}

func pullTitle(p infer.Pull) string {
	name := clean(p.Name, longestName)
	switch p.State {
	case infer.PullRunning:
		if p.Total > 0 {
			return "↓ " + name + " · " + percent(float64(p.Done)/float64(p.Total))
		}
		return "↓ " + name
	case infer.PullVerifying:
		return "↓ " + name + " · checking"
	case infer.PullPaused:
		return "↓ " + name + " · paused"
	case infer.PullFailed:
		return "↓ " + name + " · failed"
	}
	return "↓ " + name + " · asking"
}

// live are the numbers.
func live(s Snapshot) []Item {
	off := s.Broken != (Problem{}) || s.Quitting
	ttft := "First token: no requests yet"
	if s.Speed.Known {
		ttft = "First token: p50 " + span(s.Speed.P50) + " · p95 " + span(s.Speed.P95)
	}
	running, waiting := 0, 0
	for _, m := range s.Models {
		running, waiting = running+m.Active, waiting+m.Queued
	}
	pool := s.Default.Pool
	loaded := s.Default.State == infer.StateReady && pool.Cells > 0
	share := "KV pool: " + percent(float64(pool.Used)/float64(max(pool.Cells, 1)))
	if loaded {
		share += fmt.Sprintf(" of %d tokens", pool.Cells)
	}
	agents := "Agents: none yet"
	if s.Agents.Hot+s.Agents.Warm > 0 {
		agents = fmt.Sprintf("Agents: %d hot · %d warm", s.Agents.Hot, s.Agents.Warm)
	}
	return []Item{
		{Key: "live.ttft", Title: ttft, Tooltip: "Time to first token, of the last minutes.", Disabled: true, Hidden: off},
		{Key: "live.speed", Title: "Speed: " + rate(s.Speed.TokensPerSecond) + " tokens/s · " + fmt.Sprintf("%d running, %d waiting", running, waiting), Disabled: true, Hidden: off},
		{Key: "live.pool", Title: share, Disabled: true, Hidden: off || !loaded},
		{Key: "live.agents", Title: agents, Disabled: true, Hidden: off || !loaded || !s.Agents.Known},
	}
}

// foot is what is always there.
func foot(s Snapshot) []Item {
	broken := s.Broken != (Problem{})
	off := broken || s.Quitting
	settings := Item{Key: "settings", Title: "Settings…", Order: Order{Open, "/settings"}, Disabled: s.Quitting}
	if broken {
		settings.Order = Order{OpenFile, s.SettingsFile}
		settings.Hidden = s.SettingsFile == ""
	}
	quit := Item{Key: "quit", Title: "Quit Samovar", Order: Order{Verb: Quit}}
	switch {
	case s.Quitting && s.Running > 0:
		quit.Title = "Quitting: " + plural(s.Running, "request is finishing", "requests are finishing") + " · click to quit now"
	case s.Quitting:
		quit.Title, quit.Disabled = "Quitting…", true
	}
	return []Item{
		line("line.open"),
		{Key: "open", Title: "Open dashboard", Order: Order{Verb: Open}, Disabled: off},
		{Key: "copy", Title: "Copy endpoint", Tooltip: clean(s.Address, longestTip), Order: Order{Verb: CopyEndpoint}, Disabled: off},
		{Key: "connect", Title: "Connect…", Order: Order{Open, "/connect"}, Disabled: off},
		line("line.app"),
		{Key: "login", Title: "Launch at login", Mark: true, Ticked: s.Login.Enabled, Hidden: !s.Login.Supported, Disabled: s.Quitting, Order: Order{SetLogin, fmt.Sprint(!s.Login.Enabled)}},
		settings,
		{Key: "about", Title: clean("About Samovar "+s.Version, longest), Order: Order{Open, "/doctor"}, Disabled: off},
		line("line.quit"),
		quit,
	}
}
