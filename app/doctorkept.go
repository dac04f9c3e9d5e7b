package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"samovar/engine/checkup"
)

// judgeKept says how the kept KV is: all stores in one line, and one for each.
func judgeKept(s symptoms) checked {
	c := checked{Name: "kept KV", Verdict: fine}
	if s.keptErr != nil {
		c.Verdict, c.Says, c.Do = problem, fmt.Sprintf("%s cannot be read: %s", s.kept.Dir, ended(withoutPath(s.keptErr))), "Check its owner and permissions."
		return c
	}
	if len(s.kept.Stores) == 0 {
		c.Says = fmt.Sprintf("Nothing is kept in %s yet.", s.kept.Dir)
		return c
	}
	t := tally{}
	for _, st := range s.kept.Stores {
		c.Details = append(c.Details, t.add(st)...)
	}
	files := s.kept.Files + t.aside
	of := fmt.Sprintf("%s (%s, %s)", counted(files, "file"), counted(len(s.kept.Stores), "model"), humanize.IBytes(uint64(s.kept.Bytes)))
	switch {
	case t.wrong > 0:
		c.Verdict, c.Says = problem, fmt.Sprintf("%s of %s %s wrong, and will not be used.", humanize.Comma(int64(t.wrong)), of, english.PluralWord(t.wrong, "is", "are"))
	case t.unusable > 0:
		c.Verdict, c.Says = problem, fmt.Sprintf("%s were found, but Samovar cannot keep any there.", of)
	case t.aside > 0:
		c.Says = fmt.Sprintf("%s of %s %s wrong and %s in quarantine now; the others are right.", humanize.Comma(int64(t.aside)), of,
			english.PluralWord(t.aside, "was", "were"), english.PluralWord(t.aside, "is", "are"))
	default:
		c.Says = fmt.Sprintf("%s %s read and %s right.", of, english.PluralWord(files, "was", "were"), english.PluralWord(files, "is", "are"))
	}
	if t.index > 0 && c.Verdict == fine {
		c.Verdict = warning
	}
	c.Do = t.advice(s.repair)
	return c
}

// tally counts over all stores.
type tally struct {
	// wrong files are in their place still, aside ones in quarantine now; unreadable
	// ones are wrong, too.
	wrong, aside, unreadable int
	// unusable stores cannot be opened; index counts those with a broken or wrong one.
	unusable, index int
	// busy says that something is wrong where a Samovar has the store open.
	busy bool
}

// mentioned is how many wrong files are named.
const mentioned = 5

// add counts a store, and describes it.
func (t *tally) add(st checkup.Store) (lines []string) {
	say := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	say("%s", describeStore(st))
	if st.Unusable != "" {
		t.unusable++
		say("  it cannot be opened: %s", st.Unusable)
	}
	if st.Orphans > 0 {
		say("  %s (%s) wait for the beginning that they go on from, and serve again once that is computed", counted(st.Orphans, "file"), humanize.IBytes(uint64(st.OrphanBytes)))
	}
	wrong := st.StillWrong()
	t.wrong += len(wrong)
	t.aside += len(st.Wrong) - len(wrong)
	for i, w := range st.Wrong {
		if w.Reason == checkup.Unreadable {
			t.unreadable++
		}
		switch {
		case i < mentioned:
			say("  %s: %s%s", short(w.File), w.Text, map[bool]string{true: "; put aside"}[w.PutAside])
		case i == mentioned:
			say("  and %d more; --json has them all", len(st.Wrong)-mentioned)
		}
	}
	if !st.InUse && st.Unfinished > 0 {
		say("  %s (%s) that a process left unfinished; the next start deletes them", counted(st.Unfinished, "file"), humanize.IBytes(uint64(st.UnfinishedBytes)))
	}
	if st.Index == checkup.IndexBroken {
		t.index++
		say("  its index is broken; the next start makes another, but which agents there were, and which are pinned, is lost")
	} else if st.IndexWrong > 0 {
		t.index++
		say("  %d entries of its index contradict the files", st.IndexWrong)
	}
	t.busy = t.busy || st.InUse && len(wrong) > 0
	if r := st.Repaired; r != nil {
		if done := describeRepair(*r); done != "" {
			say("  repaired: %s", done)
		}
	}
	return lines
}

func describeStore(st checkup.Store) string {
	parts := []string{counted(st.Blocks, "block"), counted(st.Tails, "tail")}
	if st.Checkpoints > 0 {
		parts = append(parts, counted(st.Checkpoints, "checkpoint"))
	}
	parts = append(parts, humanize.Comma(int64(st.Tokens))+" tokens", humanize.IBytes(uint64(st.DiskBytes())))
	line := filepath.Base(st.Dir) + ": " + strings.Join(parts, ", ")
	switch {
	case st.InUse:
		line += "; a samovar has it open, so it was only read"
	case !st.Used.IsZero():
		line += "; last used " + ago(st.Used, time.Now())
	}
	return line
}

// ago is humanize.Time in whole minutes and more.
func ago(t, now time.Time) string {
	if now.Sub(t) < time.Minute {
		return "just now"
	}
	return humanize.RelTime(t, now, "ago", "from now")
}

func describeRepair(r checkup.Repaired) string {
	var done []string
	if r.PutAside > 0 {
		done = append(done, counted(r.PutAside, "file")+" put into quarantine")
	}
	if r.Deleted > 0 {
		done = append(done, counted(r.Deleted, "unfinished file")+" deleted")
	}
	if r.IndexMade {
		done = append(done, "the index made anew")
	}
	if r.IndexFixed > 0 {
		done = append(done, fmt.Sprintf("%d entries of the index corrected", r.IndexFixed))
	}
	return strings.Join(done, ", ")
}

// advice says what helps.
func (t tally) advice(repairing bool) string {
	switch {
	case t.unusable > 0:
		return "Check owner and permissions: Samovar must be able to write there."
	case t.unreadable > 0:
		return "Check the disk and the files' permissions."
	case t.busy && repairing:
		return "Stop the samovar that has it open, and run samovar doctor --repair again."
	case t.busy:
		return "Samovar puts them aside when it needs them. To have it done now, stop it and run samovar doctor --repair."
	case t.wrong > 0 && repairing:
		return "They could not be put aside: check whether the folder can be written to."
	case t.wrong > 0:
		return "Run samovar doctor --repair to put them aside; what was in them is computed again. If it happens again, check the disk."
	case t.index > 0:
		return "Run samovar doctor --repair, or start Samovar."
	}
	return ""
}
