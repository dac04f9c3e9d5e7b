package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"samovar/app/listen"
	"samovar/engine"
	"samovar/engine/checkup"
	"samovar/engine/infer"
	"samovar/engine/models"
)

// verdict is how a check went.
type verdict string

// The verdicts: a warning costs something, with a problem Samovar does not do what it
// is for.
const (
	fine    verdict = "ok"
	warning verdict = "warning"
	problem verdict = "problem"
)

// checked is what doctor says of one thing.
type checked struct {
	Name    string  `json:"name"`
	Verdict verdict `json:"status"`
	Says    string  `json:"says"`
	// Details are further lines, Do what helps.
	Details []string `json:"details,omitempty"`
	Do      string   `json:"do,omitempty"`
}

// doctorReport is what doctor prints.
type doctorReport struct {
	Verdict verdict      `json:"status"`
	Build   versionInfo  `json:"build"`
	Checks  []checked    `json:"checks"`
	Kept    checkup.Kept `json:"kept"`
}

// diagnose makes a report of what was gathered.
func diagnose(s symptoms) doctorReport {
	r := doctorReport{Verdict: fine, Build: s.version, Kept: s.kept}
	r.Checks = append(r.Checks, judgeBuild(s))
	if s.workerErr == nil {
		r.Checks = append(r.Checks, judgeLibraries(s))
	}
	r.Checks = append(r.Checks, judgeSettings(s))
	r.Checks = append(r.Checks, judgeFolders(s), judgeDisk(s), judgeAddress(s), judgeMemory(s), judgeKept(s))
	if aside, ok := judgeQuarantine(s); ok {
		r.Checks = append(r.Checks, aside)
	}
	for _, c := range r.Checks {
		r.Verdict = worse(r.Verdict, c.Verdict)
	}
	return r
}

func worse(a, b verdict) verdict {
	order := []verdict{fine, warning, problem}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func (r doctorReport) count(v verdict) (n int) {
	for _, c := range r.Checks {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

func judgeBuild(s symptoms) checked {
	c := checked{Name: "version", Verdict: fine}
	build := fmt.Sprintf("samovar %s (%s, %s/%s)", s.version.Version, s.version.Go, s.version.OS, s.version.Arch)
	switch {
	case s.workerErr != nil:
		c.Verdict, c.Says, c.Do = problem, build+" cannot run its engine: "+ended(s.workerErr), "Install Samovar again, or run `make build`; keep samovar, samovar-engine and lib together."
	case s.engine.Build != s.version.Version:
		c.Verdict, c.Says, c.Do = problem, fmt.Sprintf("%s has an engine of version %s beside it.", build, s.engine.Build), "Install both from the same release, or run `make build` again."
	default:
		c.Says = build + ", and its engine is of the same build."
	}
	return c
}

func judgeLibraries(s symptoms) checked {
	if s.engine.LibrariesErr != nil {
		return checked{Name: "libraries", Verdict: problem, Says: fmt.Sprintf("The engine's libraries in %s cannot be loaded: %s", s.libDir, ended(s.engine.LibrariesErr)),
			Do: fmt.Sprintf("Install Samovar again, or run `make setup build`; %s may name another folder.", engine.LibDirEnv)}
	}
	return checked{Name: "libraries", Verdict: fine, Says: fmt.Sprintf("llama.cpp's libraries in %s can be loaded (%s).", s.libDir, s.engine.Libraries)}
}

func judgeSettings(s symptoms) checked {
	switch {
	case s.settingsErr != nil:
		return checked{Name: "settings", Verdict: problem, Says: sentence(s.settingsErr), Do: "Correct it; until then nothing starts. What follows was looked at without it."}
	case s.settingsThere:
		return checked{Name: "settings", Verdict: fine, Says: s.settingsFile + " is valid."}
	}
	return checked{Name: "settings", Verdict: fine, Says: fmt.Sprintf("There is no file %s; flags, variables and defaults hold.", s.settingsFile)}
}

func judgeFolders(s symptoms) checked {
	c := checked{Name: "data folder", Verdict: fine}
	var there, absent []string
	for _, f := range s.folders {
		switch {
		case f.err != nil:
			return checked{Name: c.Name, Verdict: problem, Says: fmt.Sprintf("Samovar cannot write into %s: %s", f.path, ended(withoutPath(f.err))),
				Do: "Check its owner, its permissions and its disk, or name another folder with --data-dir."}
		case f.open:
			c.Verdict, c.Do = warning, "Run: chmod go= "+quoted(f.path)
			c.Details = append(c.Details, fmt.Sprintf("Other users of this machine can look into %s, where conversations are kept.", f.path))
		}
		if f.exists {
			there = append(there, f.path)
		} else {
			absent = append(absent, f.path)
		}
	}
	switch {
	case len(there) == 0:
		c.Says = fmt.Sprintf("%s will be made at the first start.", english.WordSeries(absent, "and"))
	default:
		c.Says = fmt.Sprintf("%s can be written to.", there[0])
	}
	return c
}

// roomy is how much there should be beside what is left to others.
const roomy = 1 << 30

func judgeDisk(s symptoms) checked {
	c := checked{Name: "disk", Verdict: fine}
	free, spare := humanize.IBytes(uint64(max(0, s.free))), humanize.IBytes(engine.SpareBytes)
	switch {
	case s.freeErr != nil:
		c.Verdict, c.Says = warning, "It is not known how much space is free: "+ended(s.freeErr)
	case s.keepQuota == 0:
		c.Says = fmt.Sprintf("%s are free; no KV is kept with keep_quota = 0.", free)
	case s.free < engine.SpareBytes:
		c.Verdict = problem
		c.Says = fmt.Sprintf("%s are free on the disk of %s: no KV is saved, as %s are left to others.", free, s.disk, spare)
		c.Do = "Make room, or move the data folder."
	case s.free < engine.SpareBytes+roomy:
		c.Verdict = warning
		c.Says = fmt.Sprintf("%s are free on the disk of %s: only %s more of KV can be kept, as %s are left to others.", free, s.disk, humanize.IBytes(uint64(s.free-engine.SpareBytes)), spare)
		c.Do = "Make room, or move the data folder."
	default:
		c.Says = fmt.Sprintf("%s are free, of which %s are left to others; KV takes at most %s for each model.", free, spare, humanize.IBytes(uint64(s.keepQuota)))
	}
	return c
}

func judgeAddress(s symptoms) checked {
	c := checked{Name: "address", Verdict: fine}
	h := s.addr.health
	var failed *listen.Error
	switch {
	case h != nil:
		return judgeRunning(s)
	case errors.As(s.addr.err, &failed) && failed.Owner != nil:
		c.Verdict, c.Says = problem, fmt.Sprintf("%s is taken by %s, which is no samovar that answers.", s.addr.addr, failed.Owner)
		c.Do = "Stop it, or choose another address with --addr."
	case s.addr.err != nil:
		c.Verdict, c.Says = problem, sentence(s.addr.err)
	case strings.HasSuffix(s.addr.addr, ":0"):
		c.Says = "Any free port will be taken."
	default:
		c.Says = s.addr.addr + " is free: no samovar runs there."
	}
	return c
}

// judgeRunning says how the Samovar is that answers.
func judgeRunning(s symptoms) checked {
	h := s.addr.health
	c := checked{Name: "address", Verdict: fine}
	who := fmt.Sprintf("On %s samovar %s", s.addr.addr, h.Version)
	because := ""
	if h.Reason != "" {
		because = " " + strings.TrimSpace(h.Reason)
	}
	switch h.State {
	case infer.StateReady:
		c.Says = fmt.Sprintf("%s serves %s.", who, h.Model.ID)
	case infer.StateStarting:
		c.Verdict, c.Says = warning, fmt.Sprintf("%s loads %s (%.0f %%) and answers no requests yet.%s", who, h.Model.ID, 100*h.Progress, because)
		c.Do = "Wait until it is ready."
	case infer.StateFailed:
		c.Verdict, c.Says = problem, fmt.Sprintf("%s could not load %s.%s", who, h.Model.ID, because)
		c.Do = cmp.Or(h.Hint, "Read its log on standard error.")
	default:
		c.Verdict, c.Says = warning, fmt.Sprintf("%s is %s.%s", who, h.State, because)
		c.Do = h.Hint
	}
	if h.Version != s.version.Version {
		c.Verdict, c.Do = worse(c.Verdict, warning), cmp.Or(c.Do, "Stop it and start this version.")
		c.Details = append(c.Details, fmt.Sprintf("It is not this version, %s.", s.version.Version))
	}
	if h.Kept.Off != "" && s.keepQuota != 0 {
		c.Verdict = worse(c.Verdict, warning)
		c.Details = append(c.Details, "It saves no KV: "+h.Kept.Off)
	}
	return c
}

func judgeMemory(s symptoms) checked {
	c := checked{Name: "model", Verdict: fine}
	m := s.memory
	var bad *models.BadFileError
	need, available := humanize.IBytes(uint64(m.Need)), humanize.IBytes(uint64(m.Available))
	switch {
	case s.modelErr != nil:
		c.Verdict, c.Says = problem, sentence(s.modelErr)
	case errors.As(s.memoryErr, &bad):
		c.Verdict, c.Says, c.Do = problem, fmt.Sprintf("%s cannot be used as a model. %s", bad.Path, bad.Reason), bad.Hint
	case s.memoryErr != nil:
		c.Verdict, c.Says = warning, fmt.Sprintf("It is not known whether there is memory for %s: %s", s.model, ended(s.memoryErr))
	case s.notMade:
		c.Says = fmt.Sprintf("%s is made at the first start.", s.model)
	case m.Available >= m.Need:
		c.Says = fmt.Sprintf("%s takes about %s of memory for its file, its KV pool and its work, and %s are available; what keep_memory allows comes on top.", s.model, need, available)
	case s.addr.health != nil && s.addr.health.State == infer.StateReady:
		c.Says = fmt.Sprintf("%s takes about %s of memory for its file, its KV pool and its work, and what keep_memory allows on top; %s are available beside the samovar that runs.", s.model, need, available)
	case m.Available >= m.Least:
		c.Verdict = warning
		c.Says = fmt.Sprintf("%s takes about %s of memory with its context of %s tokens, and %s are available: its context will be smaller.",
			s.model, need, humanize.Comma(int64(m.Context)), available)
		c.Do = "Close what needs memory, or choose a smaller --ctx, --kv q8_0 or a smaller model."
	default:
		c.Verdict = problem
		c.Says = fmt.Sprintf("%s takes at least %s of memory, and %s are available.", s.model, humanize.IBytes(uint64(m.Least)), available)
		c.Do = "Close what needs memory, or choose a smaller --ctx, --kv q8_0 or a smaller model."
	}
	return c
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := ended(err)
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// ended is an error's text, on one line and with a full stop.
func ended(err error) string {
	text := strings.TrimRight(strings.Join(strings.Fields(err.Error()), " "), ".")
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// withoutPath drops the path that an error of package os begins with.
func withoutPath(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && len(joined.Unwrap()) > 0 {
		err = joined.Unwrap()[0]
	}
	return rootOf(err)
}

func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (r doctorReport) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

var colours = map[verdict]string{fine: "\x1b[32m", warning: "\x1b[33m", problem: "\x1b[31m"}

// terminal is how a report is to look: with colours, and lines of that many columns;
// 0 does not break them.
type terminal struct {
	colours bool
	columns int
}

// writeText prints a line for each check, and what belongs to it indented.
func (r doctorReport) writeText(w io.Writer, look terminal) error {
	wide := 0
	for _, c := range r.Checks {
		wide = max(wide, len(c.Name))
	}
	margin := len(warning) + 2 + wide + 2
	var b strings.Builder
	for _, c := range r.Checks {
		verdict := fmt.Sprintf("%-*s", len(warning), c.Verdict)
		if look.colours {
			verdict = colours[c.Verdict] + verdict + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-*s  ", verdict, wide, c.Name)
		wrap(&b, c.Says, margin, 0, look.columns)
		for _, d := range c.Details {
			text := strings.TrimLeft(d, " ")
			deeper := len(d) - len(text)
			b.WriteString(strings.Repeat(" ", margin+deeper) + "· ")
			wrap(&b, text, margin, deeper+2, look.columns)
		}
		if c.Do != "" {
			b.WriteString(strings.Repeat(" ", margin) + "→ ")
			wrap(&b, c.Do, margin, 2, look.columns)
		}
	}
	switch r.Verdict {
	case fine:
		b.WriteString("\nAll is well.\n")
	case warning:
		fmt.Fprintf(&b, "\nNo problem, but %s.\n", english.Plural(r.count(warning), "warning", ""))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// narrowest is the fewest columns that text is squeezed into.
const narrowest = 40

// wrap writes text, whose first line stands at margin+deeper already.
func wrap(b *strings.Builder, text string, margin, deeper, columns int) {
	at := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case columns > 0 && at+1+n > max(columns-margin-deeper, narrowest):
			b.WriteString("\n" + strings.Repeat(" ", margin+deeper))
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
}

// quoted is a path for a shell.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-~@%+=:,", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// short is the beginning of a long path's names, enough to find it.
func short(file string) string {
	dir, name := filepath.Split(file)
	if len(name) > 16 {
		name = name[:12] + "…"
	}
	return dir + name
}

// counted is "3 files", "1 file".
func counted(n int, what string) string {
	return humanize.Comma(int64(n)) + " " + english.PluralWord(n, what, "")
}

// reasons in words, for those that are in quarantine.
var reasons = map[string]string{
	"size": "too short or too long", "magic": "no block file", "version": "of another format", "header_checksum": "a wrong checksum",
	"payload_checksum": "a wrong checksum", "field": "fields that make no sense", "fingerprint": "of another model or other settings",
	"id": "another block than the name says", "logits": "the model computed something else from it",
}

// judgeQuarantine says what is in quarantine; ok is false if nothing is.
func judgeQuarantine(s symptoms) (c checked, ok bool) {
	files, bytes := 0, int64(0)
	var dirs []string
	why := map[string]int{}
	for _, st := range s.kept.Stores {
		for _, a := range st.Quarantine {
			files += a.Files
			bytes += a.Bytes
			why[cmp.Or(reasons[a.Reason], a.Reason)] += a.Files
			if dir := quoted(filepath.Join(st.Dir, "quarantine")); !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	if files == 0 {
		return c, false
	}
	var list []string
	for reason, n := range why {
		list = append(list, fmt.Sprintf("%d × %s", n, reason))
	}
	slices.Sort(list)
	c = checked{Name: "quarantine", Verdict: warning, Do: "When nobody wants to look into them any more, run: rm -r " + strings.Join(dirs, " ")}
	c.Says = fmt.Sprintf("%s (%s) of kept KV %s found wrong and put aside, never to be used: %s.", counted(files, "file"), humanize.IBytes(uint64(bytes)),
		english.PluralWord(files, "was", "were"), strings.Join(list, ", "))
	return c, true
}
