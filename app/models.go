package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"

	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine/infer"
	"samovar/engine/models/pull"
)

// modelsFlags are those of the commands about models on this machine.
type modelsFlags struct {
	Addr string `placeholder:"HOST:PORT" help:"Address of the samovar that runs, if one does."`
	JSON bool   `help:"Print JSON."`
}

// namedFlags are those of the ones about one model.
type namedFlags struct {
	modelsFlags `embed:""`
	Name        string `arg:"" help:"The model: a name of the catalogue (samovar models lists it), owner/repo[:quant] of the Hub, or the address of a .gguf file."`
}

type searchFlags struct {
	JSON  bool   `help:"Print JSON."`
	Query string `arg:"" help:"Words to look for."`
}

// modelsCommand carries out models, pull, rm and search: by the samovar that runs, or
// without one.
func modelsCommand(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) error {
	err := aboutModels(ctx, p, inv, s, where)
	var known *infer.Error
	if errors.As(err, &known) { // without its private cause
		return errors.New(strings.TrimRight(known.Public(), "."))
	}
	return err
}

func aboutModels(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) error {
	if inv.command == cmdPull {
		var wrong *infer.Error
		if errors.As(pull.CheckName(inv.model), &wrong) {
			return usageError{errors.New(strings.TrimRight(wrong.Public(), "."))}
		}
	}
	var l modelsOf = &remote{running{base: "http://" + s.Addr}}
	if inv.command == cmdSearch || !isServing(ctx, s.Addr) {
		own, err := openLibrary(s, where, p.LookupEnv, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer own.close()
		l = &local{own}
	}
	switch inv.command {
	case cmdPull:
		return pullModel(ctx, p, l, inv)
	case cmdRemove:
		return removeModel(ctx, p.Stdout, l, inv)
	case cmdSearch:
		return searchModels(ctx, p.Stdout, l, inv)
	}
	all, err := l.list(ctx)
	if err != nil {
		return err
	}
	if inv.json {
		return printJSON(p.Stdout, all)
	}
	return printLibrary(p.Stdout, all)
}

// isServing says whether a samovar answers at an address.
func isServing(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var about struct{ Name string }
	raw, err := (running{base: "http://" + addr}).ask(ctx, http.MethodGet, "/", nil)
	return err == nil && json.Unmarshal(raw, &about) == nil && about.Name == "samovar"
}

// listed is what samovar models shows.
type listed struct {
	Models      []infer.LocalModel `json:"models"`
	Suggestions []infer.Suggestion `json:"suggestions"`
	Pulls       []infer.Pull       `json:"pulls"`
}

// modelsOf is a library, here or in the samovar that runs.
type modelsOf interface {
	list(ctx context.Context) (listed, error)
	// pull downloads a model and tells how far it is, until it has ended.
	pull(ctx context.Context, name string, tell func(infer.Pull)) (infer.Pull, error)
	remove(ctx context.Context, name string) (freed int64, err error)
	search(ctx context.Context, query string) ([]infer.HubModel, error)
}

// local is a library in this process.
type local struct{ *library }

func (l *local) list(ctx context.Context) (listed, error) {
	return listed{Models: l.Local(ctx), Suggestions: l.Suggestions(ctx), Pulls: l.Pulls()}, nil
}

func (l *local) remove(ctx context.Context, name string) (int64, error) { return l.Remove(ctx, name) }

func (l *local) search(ctx context.Context, query string) ([]infer.HubModel, error) {
	return l.Search(ctx, query, 10)
}

func (l *local) pull(ctx context.Context, name string, tell func(infer.Pull)) (infer.Pull, error) {
	feed, stop := l.WatchPulls()
	defer stop()
	now, err := l.Pull(name)
	if err != nil {
		return now, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = l.pulls.Wait(ctx, name) // ctx's error is seen below
	}()
	for {
		tell(now)
		select {
		case now = <-feed:
		case <-ended:
			if ctx.Err() != nil {
				return now, ctx.Err()
			}
			return l.pulls.Wait(ctx, name)
		}
	}
}

// remote is the library of the samovar that runs.
type remote struct{ running }

func (r *remote) list(ctx context.Context) (all listed, err error) {
	raw, err := r.ask(ctx, http.MethodGet, "/samovar/v1/models", nil)
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	return all, err
}

func (r *remote) remove(ctx context.Context, name string) (int64, error) {
	raw, err := r.ask(ctx, http.MethodDelete, "/samovar/v1/models?"+url.Values{"name": {name}}.Encode(), nil)
	var done struct {
		Freed int64 `json:"freed_bytes"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &done)
	}
	return done.Freed, err
}

func (r *remote) search(ctx context.Context, query string) (all []infer.HubModel, err error) {
	return nil, errors.New("it is searched here") // see modelsCommand
}

// pull has the server download, and watches. Leaving ends the download: whoever typed the
// command expects that of Ctrl-C; its bytes stay.
func (r *remote) pull(ctx context.Context, name string, tell func(infer.Pull)) (now infer.Pull, err error) {
	resp, err := r.do(ctx, http.MethodGet, "/samovar/v1/events", nil)
	if err != nil {
		return now, err
	}
	defer resp.Body.Close()
	raw, err := r.ask(ctx, http.MethodPost, "/samovar/v1/models/pull", map[string]string{"name": name})
	if err != nil {
		return now, err
	}
	if err := json.Unmarshal(raw, &now); err != nil {
		return now, err
	}
	name = now.Name
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for event := ""; !now.State.Ended(); {
		tell(now)
		if !lines.Scan() {
			if ctx.Err() != nil {
				_, err := r.ask(context.WithoutCancel(ctx), http.MethodPost, "/samovar/v1/models/pulls/pause", map[string]string{"name": name})
				return now, errors.Join(ctx.Err(), err)
			}
			return now, errors.Join(fmt.Errorf("the samovar at %s does not answer any more; the download goes on where it was when it is pulled again", r.base), lines.Err())
		}
		line := lines.Text()
		if kind, ok := strings.CutPrefix(line, "event: "); ok {
			event = kind
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || event != "pull" {
			if event != "snapshot" || !ok {
				continue
			}
			if now, err = r.look(ctx, now); err != nil { // an event may have been missed
				return now, err
			}
			continue
		}
		var p infer.Pull
		if err := json.Unmarshal([]byte(data), &p); err == nil && p.Name == name {
			now = p
		}
	}
	return now, nil
}

// look asks how far a download is.
func (r *remote) look(ctx context.Context, now infer.Pull) (infer.Pull, error) {
	raw, err := r.ask(ctx, http.MethodGet, "/samovar/v1/models/pulls", nil)
	if err != nil {
		return now, err
	}
	var all struct{ Pulls []infer.Pull }
	if err := json.Unmarshal(raw, &all); err != nil {
		return now, err
	}
	for _, p := range all.Pulls {
		if p.Name == now.Name {
			return p, nil
		}
	}
	return now, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func bytesOf(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// printLibrary prints what is here, and what could be.
func printLibrary(w io.Writer, all listed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tFROM\tSIZE\tQUANT\tCONTEXT\tNEEDS\tSTATE")
	for _, m := range all.Models {
		quant, context, needs, state := "–", "–", "–", string(m.State)
		if f := m.Facts; f != nil {
			quant, context = f.Quantisation, fmt.Sprint(f.ContextTokens)
			needs = bytesOf(m.Needs)
		}
		switch {
		case m.Problem != "":
			state = "cannot be used"
		case !m.Fits:
			state = "too large for this machine"
		case state == "":
			state = "here"
		}
		size := "–"
		if m.Bytes > 0 {
			size = bytesOf(m.Bytes)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.Origin, size, quant, context, needs, state)
	}
	for _, p := range all.Pulls {
		if p.State != infer.PullDone {
			fmt.Fprintf(t, "%s\tdownload\t%s\t–\t–\t–\t%s\n", p.Name, bytesOf(p.Total), pullState(p))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range all.Models {
		if m.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", m.Name, m.Problem)
		}
	}
	fmt.Fprintln(w, "\nTo download (samovar pull NAME); sizes are about right, and what is needed includes a context of 8K tokens:")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range all.Suggestions {
		if s.Here || !s.Fits {
			continue
		}
		mark := ""
		if s.Recommended {
			mark = "  ← the best for this machine"
		}
		fmt.Fprintf(t, "  %s\t%s\tneeds %s\t%s\ttools: %s%s\n", s.Name, bytesOf(s.Bytes), bytesOf(s.Needs), s.Licence, s.Tools, mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var large []string
	for _, s := range all.Suggestions {
		if !s.Fits {
			large = append(large, s.Name)
		}
	}
	if len(large) > 0 {
		fmt.Fprintf(w, "Too large for this machine: %s.\n", strings.Join(large, ", "))
	}
	return nil
}

// pullState says how far a download is, in a few words.
func pullState(p infer.Pull) string {
	text := string(p.State)
	if p.Total > 0 && p.State != infer.PullFailed {
		text += fmt.Sprintf(", %.0f %%", 100*float64(p.Done)/float64(p.Total))
	}
	return text
}

func removeModel(ctx context.Context, w io.Writer, l modelsOf, inv invocation) error {
	freed, err := l.remove(ctx, inv.model)
	if err != nil {
		return err
	}
	if inv.json {
		return printJSON(w, map[string]any{"name": inv.model, "deleted": true, "freed_bytes": freed})
	}
	_, err = fmt.Fprintf(w, "%s is deleted; %s are free.\n", inv.model, bytesOf(freed))
	return err
}

func searchModels(ctx context.Context, w io.Writer, l modelsOf, inv invocation) error {
	all, err := l.search(ctx, inv.model)
	if err != nil {
		return err
	}
	if inv.json {
		return printJSON(w, map[string]any{"models": all})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range all {
		gated := ""
		if m.Gated {
			gated = ", gated: its licence must be accepted"
		}
		fmt.Fprintf(t, "%s\t\t(%s downloads, %s%s)\n", m.Repo, humanize.Comma(int64(m.Downloads)), m.Licence, gated)
		for _, v := range m.Variants {
			fit := "fits"
			if !v.Fits {
				fit = "too large for this machine"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", v.Name, bytesOf(v.Bytes), fit)
		}
	}
	if len(all) == 0 {
		fmt.Fprintf(w, "Nothing was found for %q.\n", inv.model)
	}
	return t.Flush()
}

// pullModel downloads a model and shows how far it is.
func pullModel(ctx context.Context, p Process, l modelsOf, inv invocation) error {
	bar := newPullBar(p.Stderr)
	now, err := l.pull(ctx, inv.model, bar.show)
	bar.done()
	if err != nil {
		return err
	}
	if inv.json {
		if err := printJSON(p.Stdout, now); err != nil {
			return err
		}
	}
	switch now.State {
	case infer.PullDone:
		if !inv.json {
			fmt.Fprintf(p.Stdout, "%s is here (%s). Ask for it by that name, or serve it first: samovar serve --model %s\n", now.Model, bytesOf(now.Total), now.Model)
		}
		return nil
	case infer.PullFailed:
		return errors.New(strings.TrimRight(strings.TrimSpace(now.Error+" "+now.Hint), "."))
	}
	return fmt.Errorf("the download was %s; `samovar pull %s` goes on with it", now.State, inv.model)
}

// pullBar shows a download in one line of a terminal; elsewhere in a line for each tenth.
type pullBar struct {
	w        io.Writer
	terminal bool
	tenth    int
}

func newPullBar(w io.Writer) *pullBar {
	f, ok := w.(*os.File)
	return &pullBar{w: w, terminal: ok && isatty.IsTerminal(f.Fd()), tenth: -1}
}

const barWidth = 30

func (b *pullBar) show(p infer.Pull) {
	share := 0.0
	if p.Total > 0 {
		share = min(1, float64(p.Done)/float64(p.Total))
	}
	if !b.terminal {
		if tenth := int(10 * share); tenth != b.tenth && p.Total > 0 {
			b.tenth = tenth
			fmt.Fprintf(b.w, "%s: %d %% of %s\n", p.Name, 10*tenth, bytesOf(p.Total))
		}
		return
	}
	full := int(share * barWidth)
	fmt.Fprintf(b.w, "%s%s  %s%s  %3.0f %%  %s of %s", clearLine, p.Name, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), 100*share, bytesOf(p.Done), bytesOf(p.Total))
	switch {
	case p.State == infer.PullVerifying:
		fmt.Fprint(b.w, "  checking")
	case p.BytesPerSecond > 0:
		fmt.Fprintf(b.w, "  %s/s  %v left", bytesOf(int64(p.BytesPerSecond)), p.Left.Round(time.Second))
	}
}

func (b *pullBar) done() {
	if b.terminal {
		fmt.Fprint(b.w, clearLine)
	}
}
