package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/engine/infer"
)

// Kind says what a note is about.
type Kind string

// The kinds.
const (
	Downloaded     Kind = "downloaded"
	DownloadFailed Kind = "download failed"
	EngineFailed   Kind = "engine failed"
	EngineUnsteady Kind = "engine unsteady"
	NotSaving      Kind = "not saving"
)

// Note is one notification. Titles begin with a letter and are ours alone; bodies have
// names and reasons from elsewhere.
type Note struct {
	Kind        Kind
	Title, Body string
}

const (
	// restless engines restart by themselves so often within unsteadyFor.
	restless    = 3
	unsteadyFor = 10 * time.Minute
	// quietFor is how long nothing more is said of the same kind and model; mostNotes are
	// shown within notesFor, whatever they are about.
	quietFor  = 10 * time.Minute
	mostNotes = 5
	notesFor  = 10 * time.Minute
)

// quiet are the kinds that are worth less often a note.
var quiet = map[Kind]time.Duration{NotSaving: 6 * time.Hour, EngineUnsteady: time.Hour}

// Decider decides what is worth a note. Its zero value knows of nothing yet. It is for one
// goroutine.
type Decider struct {
	pulls    map[string]infer.PullState
	restarts map[string]int
	unsteady map[string][]time.Time
	unsaved  map[string]bool
	said     map[string]time.Time // by kind and model
	notes    []time.Time          // the last mostNotes at most
}

// Pull takes what has become of a download.
func (d *Decider) Pull(p infer.Pull, now time.Time) (Note, bool) {
	key := p.Name + p.Started.String()
	before := d.pulls[key]
	if d.pulls == nil {
		d.pulls = map[string]infer.PullState{}
	}
	d.pulls[key] = p.State
	if before == p.State {
		return Note{}, false
	}
	name := p.Name
	if p.Model != "" {
		name = p.Model
	}
	switch p.State {
	case infer.PullDone:
		delete(d.pulls, key)
		size := ""
		if p.Total > 0 {
			size = fmt.Sprintf(" (%s)", humanize.IBytes(uint64(p.Total)))
		}
		return d.note(Note{Downloaded, "Model downloaded", fmt.Sprintf("%s%s is ready to use.", name, size)}, key, now)
	case infer.PullFailed:
		delete(d.pulls, key)
		return d.note(Note{DownloadFailed, "Download failed", joined(name+":", p.Error, p.Hint)}, name, now)
	case infer.PullPaused, infer.PullCancelled: // somebody wanted that
		delete(d.pulls, key)
	}
	return Note{}, false
}

// Transition takes a change of a model's state.
func (d *Decider) Transition(t infer.Transition, now time.Time) (Note, bool) {
	if t.To != infer.StateFailed || t.From == infer.StateFailed {
		return Note{}, false
	}
	return d.note(Note{EngineFailed, "Engine failed", joined(t.Model+":", t.Reason, t.Hint)}, t.Model, now)
}

// Overview takes how everything is. It is to be asked now and then.
func (d *Decider) Overview(o infer.Overview, now time.Time) []Note {
	if d.restarts == nil {
		d.restarts, d.unsteady, d.unsaved = map[string]int{}, map[string][]time.Time{}, map[string]bool{}
	}
	var notes []Note
	take := func(n Note, ok bool) {
		if ok {
			notes = append(notes, n)
		}
	}
	for _, m := range o.Models {
		take(d.steadiness(m, now))
		take(d.saving(m, now))
	}
	return notes
}

// steadiness notes engines that fail again and again without giving up.
func (d *Decider) steadiness(m infer.Status, now time.Time) (Note, bool) {
	id := m.Model.ID
	before, known := d.restarts[id]
	d.restarts[id] = m.Restarts
	if !known {
		return Note{}, false
	}
	for range m.Restarts - before {
		d.unsteady[id] = append(d.unsteady[id], now)
	}
	d.unsteady[id] = slices.DeleteFunc(d.unsteady[id], func(at time.Time) bool { return now.Sub(at) > unsteadyFor })
	n := len(d.unsteady[id])
	if n < restless || m.State == infer.StateFailed { // of that there is a note
		return Note{}, false
	}
	d.unsteady[id] = nil
	return d.note(Note{EngineUnsteady, "Engine keeps failing",
		fmt.Sprintf("%s was started again %d times in %d minutes. Requests go on, with pauses.", id, n, int(unsteadyFor.Minutes()))}, id, now)
}

// saving notes that what is computed is not saved any more. All models lie on one disk, so
// one note is enough for the same reason.
func (d *Decider) saving(m infer.Status, now time.Time) (Note, bool) {
	off := m.Kept.On && m.Kept.Off != ""
	before := d.unsaved[m.Model.ID]
	d.unsaved[m.Model.ID] = off
	if !off || before {
		return Note{}, false
	}
	return d.note(Note{NotSaving, "Nothing is saved now", joined(m.Kept.Off)}, "", now)
}

// note lets a note pass, unless the same was said lately, or too much.
func (d *Decider) note(n Note, about string, now time.Time) (Note, bool) {
	wait, ok := quiet[n.Kind]
	if !ok {
		wait = quietFor
	}
	key := string(n.Kind) + "\x00" + about
	if last, said := d.said[key]; said && now.Sub(last) < wait {
		return Note{}, false
	}
	d.notes = slices.DeleteFunc(d.notes, func(at time.Time) bool { return now.Sub(at) >= notesFor })
	if len(d.notes) >= mostNotes {
		return Note{}, false
	}
	for k, last := range d.said { // what no wait is longer than
		if now.Sub(last) > 24*time.Hour {
			delete(d.said, k)
		}
	}
	if d.said == nil {
		d.said = map[string]time.Time{}
	}
	d.said[key], d.notes = now, append(d.notes, now)
	return n, true
}

// mostBody is how many characters of a body are shown.
const mostBody = 240

// joined makes a body of parts, some of which may be empty: one line of text.
func joined(parts ...string) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(strings.Join(parts, " "), "�")), " ")
	if runes := []rune(text); len(runes) > mostBody {
		text = string(runes[:mostBody]) + "…"
	}
	return text
}
