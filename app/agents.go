package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/app/config"
)

// agentsFlags are the commands about those who come back. They ask the samovar that
// runs, at the address that it would listen on here.
type agentsFlags struct {
	Addr string `placeholder:"HOST:PORT" help:"Address of the samovar that runs."`
	JSON bool   `help:"Print JSON."`

	List   struct{} `cmd:"" default:"1" help:"List who comes back, and what is kept of them (what bare agents does)."`
	Show   agentArg `cmd:"" help:"Show one, with what it saved and its last miss."`
	Pin    agentArg `cmd:"" help:"Keep its KV on disk, whatever others need."`
	Unpin  agentArg `cmd:"" help:"Let go of it."`
	Evict  agentArg `cmd:"" help:"Let it leave the KV pool; it stays on disk."`
	Forget agentArg `cmd:"" help:"Forget it and its KV, but for what others share."`
	Fork   struct {
		agentArg `embed:""`
		To       string `arg:"" help:"The new agent's name."`
	} `cmd:"" help:"Make another one with the same conversation."`
	Export struct {
		agentArg `embed:""`
		File     string `arg:"" help:"The file to write."`
	} `cmd:"" help:"Write it and its KV into one file."`
	Import struct {
		File string `arg:"" help:"The file that export wrote."`
		To   string `arg:"" optional:"" help:"Another name for it."`
	} `cmd:"" help:"Take in what export wrote, by the same model and settings."`
}

type agentArg struct {
	Agent string `arg:"" help:"The agent's name."`
}

// agentsCall is an agents command, parsed.
type agentsCall struct{ verb, agent, to, file string }

func (f *agentsFlags) call(command string) agentsCall {
	verb, _, _ := strings.Cut(strings.TrimPrefix(command, cmdAgents+" "), " ")
	c := agentsCall{verb: verb}
	for v, arg := range map[string]agentArg{"show": f.Show, "pin": f.Pin, "unpin": f.Unpin, "evict": f.Evict, "forget": f.Forget, "fork": f.Fork.agentArg, "export": f.Export.agentArg} {
		if v == verb {
			c.agent = arg.Agent
		}
	}
	switch verb {
	case "fork":
		c.to = f.Fork.To
	case "export":
		c.file = f.Export.File
	case "import":
		c.file, c.to = f.Import.File, f.Import.To
	}
	return c
}

// agentInfo is what the API says of an agent, as far as it is printed.
type agentInfo struct {
	ID           string    `json:"id"`
	Tool         string    `json:"tool"`
	Created      time.Time `json:"created_at"`
	Used         time.Time `json:"last_used_at"`
	Pinned       bool      `json:"pinned"`
	Tier         string    `json:"tier"`
	Tokens       int       `json:"tokens"`
	HotTokens    int       `json:"hot_tokens"`
	WarmTokens   int       `json:"warm_tokens"`
	Bytes        int64     `json:"bytes"`
	ResumeMS     float64   `json:"resume_ms"`
	Requests     int       `json:"requests"`
	HitRate      float64   `json:"hit_rate"`
	CachedTokens int       `json:"cached_tokens"`
	SavedMS      float64   `json:"saved_ms"`
	WrittenBytes int64     `json:"written_bytes"`
	LastMiss     *struct {
		Text string `json:"text"`
	} `json:"last_miss"`
}

// agents carries out an agents command.
func agents(ctx context.Context, p Process, inv invocation, s config.Settings) error {
	c := running{base: "http://" + s.Addr}
	one := func(method, path string, body any) error {
		raw, err := c.ask(ctx, method, path, body)
		if err != nil {
			return err
		}
		return printAgent(p.Stdout, raw, inv.json)
	}
	id := "/v1/agents/" + url.PathEscape(inv.agents.agent)
	switch inv.agents.verb {
	case "show":
		return one(http.MethodGet, id, nil)
	case "pin":
		return one(http.MethodPost, id+"/pin", nil)
	case "unpin":
		return one(http.MethodDelete, id+"/pin", nil)
	case "evict":
		return one(http.MethodDelete, id+"?evict_only=true", nil)
	case "fork":
		return one(http.MethodPost, id+"/fork", map[string]string{"id": inv.agents.to})
	case "forget":
		raw, err := c.ask(ctx, http.MethodDelete, id, nil)
		if err != nil {
			return err
		}
		return printForgotten(p.Stdout, raw, inv)
	case "export":
		return c.export(ctx, p.Stdout, id+"/export", inv)
	case "import":
		return c.importFile(ctx, p.Stdout, inv)
	}
	raw, err := c.ask(ctx, http.MethodGet, "/v1/agents", nil)
	if err != nil {
		return err
	}
	return printAgents(p.Stdout, raw, inv.json, time.Now())
}

// running is the samovar that runs.
type running struct{ base string }

// do asks it something. The caller closes the body.
func (r running) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "samovar")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("no samovar answers at %s (%w); start one with `samovar serve`, or say where it is with --addr", r.base, err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	var failed struct{ Error struct{ Message string } }
	if json.NewDecoder(resp.Body).Decode(&failed) != nil || failed.Error.Message == "" {
		return nil, fmt.Errorf("the server at %s answered %s", r.base, resp.Status)
	}
	return nil, errors.New(strings.TrimRight(failed.Error.Message, "."))
}

// ask is do with JSON both ways.
func (r running) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(data)
	}
	resp, err := r.do(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// export writes an agent's file, which appears whole or not at all.
func (r running) export(ctx context.Context, w io.Writer, path string, inv invocation) error {
	resp, err := r.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dir, name := filepath.Split(inv.agents.file)
	f, err := os.CreateTemp(filepath.Clean(dir+"."), name+".*")
	if err != nil {
		return usageError{fmt.Errorf("cannot write the export: %w", err)}
	}
	n, err := io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), inv.agents.file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write the export: %w", err), os.Remove(f.Name()))
	}
	if inv.json {
		return json.NewEncoder(w).Encode(map[string]any{"id": inv.agents.agent, "file": inv.agents.file, "bytes": n})
	}
	_, err = fmt.Fprintf(w, "%s is in %s (%s).\n", inv.agents.agent, inv.agents.file, humanize.IBytes(uint64(n)))
	return err
}

func (r running) importFile(ctx context.Context, w io.Writer, inv invocation) error {
	f, err := os.Open(inv.agents.file)
	if err != nil {
		return usageError{fmt.Errorf("cannot read the export: %w", err)}
	}
	defer f.Close()
	path := "/v1/agents/import"
	if inv.agents.to != "" {
		path += "?id=" + url.QueryEscape(inv.agents.to)
	}
	resp, err := r.do(ctx, http.MethodPost, path, f)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return printAgent(w, raw, inv.json)
}

func printForgotten(w io.Writer, raw []byte, inv invocation) error {
	if inv.json {
		_, err := w.Write(raw)
		return err
	}
	var f struct {
		Bytes int64 `json:"freed_bytes"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s is forgotten, which freed %s on disk.\n", inv.agents.agent, humanize.IBytes(uint64(f.Bytes)))
	return err
}

func printAgents(w io.Writer, raw []byte, asJSON bool, now time.Time) error {
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	var list struct{ Data []agentInfo }
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if len(list.Data) == 0 {
		_, err := fmt.Fprintln(w, "Nobody has come yet: agents appear with their first request.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AGENT\tTOOL\tTIER\tTOKENS\tON DISK\tRESUMES IN\tREUSED\tSAVED\tLAST USED")
	for _, a := range list.Data {
		name := a.ID
		if a.Pinned {
			name += " (pinned)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.0f %%\t%s\t%s\n", name, orDash(a.Tool), a.Tier, humanize.Comma(int64(a.Tokens)),
			humanize.IBytes(uint64(a.Bytes)), shortMillis(a.ResumeMS), 100*a.HitRate, shortMillis(a.SavedMS), humanize.RelTime(a.Used, now, "ago", "from now"))
	}
	return t.Flush()
}

func printAgent(w io.Writer, raw []byte, asJSON bool) error {
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	var a agentInfo
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("agent", "%s", a.ID)
	line("tool", "%s", orDash(a.Tool))
	line("tier", "%s", a.Tier)
	line("pinned", "%t", a.Pinned)
	line("conversation", "%d tokens; %d in the pool, %d on disk (%s)", a.Tokens, a.HotTokens, a.WarmTokens, humanize.IBytes(uint64(a.Bytes)))
	line("resumes in", "about %s", shortMillis(a.ResumeMS))
	line("requests", "%d, which reused %.0f %% of their prompts (%d tokens)", a.Requests, 100*a.HitRate, a.CachedTokens)
	line("saved", "%s of prefill for %s written", shortMillis(a.SavedMS), humanize.IBytes(uint64(a.WrittenBytes)))
	line("created", "%s", a.Created.Local().Format(time.DateTime))
	line("last used", "%s", a.Used.Local().Format(time.DateTime))
	if a.LastMiss != nil {
		line("last miss", "%s", a.LastMiss.Text)
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shortMillis words a time in ms so that it is read at a glance.
func shortMillis(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
