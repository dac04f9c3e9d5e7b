package tray

import (
	"strings"

	"samovar/engine/infer"
)

// Icon is one of the pictures in the menu bar.
type Icon string

// The icons.
const (
	IconStopped   Icon = "stopped"
	IconStarting  Icon = "starting"
	IconReady     Icon = "ready"
	IconBusy      Icon = "busy"
	IconAttention Icon = "attention"
)

// Icons are all there are.
var Icons = []Icon{IconStopped, IconStarting, IconReady, IconBusy, IconAttention}

// Look is what is seen without opening the menu.
type Look struct {
	Icon Icon
	// Title stands beside the icon; empty is none.
	Title   string
	Tooltip string
}

// LookOf says how a snapshot looks.
func LookOf(s Snapshot) Look {
	l := Look{Icon: iconOf(s), Tooltip: clean("Samovar · "+StatusLine(s), longestTip)}
	if s.Broken == (Problem{}) && !s.Quitting && s.Default.State == infer.StateReady {
		switch {
		case s.Title == TitleTTFT && s.Speed.Known:
			l.Title = span(s.Speed.P95)
		case s.Title == TitleTPS:
			l.Title = rate(s.Speed.TokensPerSecond) + " t/s"
		}
	}
	return l
}

func iconOf(s Snapshot) Icon {
	st := s.Default
	switch {
	case s.Broken != (Problem{}):
		return IconAttention
	case s.Quitting:
		return IconBusy
	case st.State == infer.StateStopped:
		return IconStopped
	case problemOf(s).wants:
		return IconAttention
	case st.State == infer.StateStarting, st.State == infer.StateDraining:
		return IconStarting
	case active(s) > 0:
		return IconBusy
	}
	return IconReady
}

// active is how many requests run and wait, of all models.
func active(s Snapshot) int {
	n := 0
	for _, m := range s.Models {
		n += m.Active + m.Queued
	}
	return n
}

// StatusLine says in a few words how things are.
func StatusLine(s Snapshot) string {
	st, name := s.Default, clean(s.Default.Model.ID, longestName)
	switch {
	case s.Broken != (Problem{}):
		return clean("Failed: "+s.Broken.Text, longest)
	case s.Quitting && s.Running > 0:
		return "Quitting · " + plural(s.Running, "request is finishing", "requests are finishing")
	case s.Quitting:
		return "Quitting · saving"
	}
	switch st.State {
	case infer.StateStopped:
		return "Stopped"
	case infer.StateStarting:
		how := "Starting · "
		if st.Restarts > 0 && st.Reason != "" {
			how = "Starting again · "
		}
		return how + strings.TrimLeft(percent(st.Progress), figure) + " · " + name
	case infer.StateDraining:
		return "Stopping · saving"
	case infer.StateFailed:
		return clean("Failed: "+sentence(st.Reason), longest)
	case infer.StateUnloaded:
		return "Resting · " + name
	case infer.StateReady:
		if n := active(s); n > 0 {
			return "Working · " + name + " · " + plural(n, "request", "requests")
		}
		return "Ready · " + name
	}
	return "Starting"
}

// sentence takes the first one of a text, without its full stop.
func sentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	if first = strings.TrimSuffix(strings.TrimSpace(first), "."); first == "" {
		return "the reason is not known"
	}
	return first
}

// trouble is the one problem that the menu shows.
type trouble struct {
	Problem
	// wants says that somebody should see to it: the icon says so.
	wants bool
	// page is where more is said.
	page string
}

// problemOf finds the problem that matters most.
func problemOf(s Snapshot) trouble {
	const logs, models, overview = "/logs", "/models", "/overview"
	if s.Broken != (Problem{}) {
		return trouble{Problem: s.Broken, wants: true}
	}
	if s.Quitting {
		return trouble{}
	}
	for i, m := range append([]infer.Status{s.Default}, s.Models...) {
		of := ""
		if i > 0 && m.Model.ID != s.Default.Model.ID {
			of = m.Model.ID + ": "
		}
		switch {
		case m.State == infer.StateFailed:
			return trouble{Problem{of + m.Reason, m.Hint}, true, logs}
		case m.State == infer.StateStarting && m.Restarts > 0 && m.Reason != "":
			return trouble{Problem{of + m.Reason, m.Hint}, true, logs}
		case m.State == infer.StateReady && s.Fresh: // it may be back before anybody has seen it
			return trouble{s.Crash, true, logs}
		case m.State == infer.StateReady && m.Health.Warning != "":
			return trouble{Problem{of + m.Health.Warning, ""}, true, logs}
		case m.Kept.On && m.Kept.Off != "" && m.State == infer.StateReady: // one that is not on may yet be
			return trouble{Problem{"Conversations are not saved. " + m.Kept.Off, "Open Samovar to see what takes the space."}, true, overview}
		}
	}
	for _, p := range s.Pulls {
		if p.State == infer.PullFailed {
			return trouble{Problem{"The download of " + p.Name + " failed. " + p.Error, p.Hint}, false, models}
		}
	}
	if s.Said != (Problem{}) {
		return trouble{s.Said, false, logs}
	}
	if s.Crash != (Problem{}) {
		return trouble{s.Crash, false, logs}
	}
	if s.Relief != "" {
		return trouble{Problem{s.Relief, ""}, false, overview}
	}
	return trouble{}
}
