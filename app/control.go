package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/app/config"
	"samovar/engine/infer"
)

// controlFlags are those of the commands that speak to the samovar that runs.
type controlFlags struct {
	Addr string `placeholder:"HOST:PORT" help:"Address of the samovar that runs."`
	JSON bool   `help:"Print JSON."`
}

// modelOrder is an order to one model, or to all.
type modelOrder struct {
	controlFlags `embed:""`
	Name         string `arg:"" optional:"" name:"model" help:"The model; all of them without it."`
}

// pinOrder is an order to one model.
type pinOrder struct {
	controlFlags `embed:""`
	Name         string `arg:"" name:"model" help:"The model."`
}

// orderModels carries out ps (see there) and the orders to models.
func orderModels(ctx context.Context, p Process, inv invocation, s config.Settings) error {
	c := running{base: "http://" + s.Addr}
	method, path := http.MethodPost, "/samovar/v1/engine/"+inv.command
	switch inv.command {
	case cmdPS:
		return ps(ctx, p, c, inv.json)
	case cmdUnpin:
		method, path = http.MethodDelete, "/samovar/v1/engine/pin"
	}
	if inv.model != "" {
		path += "?" + url.Values{"model": {inv.model}}.Encode()
	}
	raw, err := c.ask(ctx, method, path, nil)
	if err != nil {
		return err
	}
	if inv.json {
		_, err := p.Stdout.Write(raw)
		return err
	}
	var o infer.Overview
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("the server's answer is broken: %w", err)
	}
	return printModels(p.Stdout, o, time.Now())
}

// printModels prints one line about each model, and what is worth knowing below.
func printModels(w io.Writer, o infer.Overview, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tSTATE\tSINCE\tPID\tRUNNING\tWAITING\tPOOL\tMEMORY\tKEPT\tLOADED")
	const none = "–"
	for _, st := range o.Models {
		pool, pid, memory, kept, loaded := none, none, none, none, none
		if st.Pool.Cells > 0 && st.WorkerPID > 0 {
			pool = fmt.Sprintf("%d of %d tokens", st.Pool.Used, st.Pool.Cells)
		}
		if st.WorkerPID > 0 {
			pid = fmt.Sprint(st.WorkerPID)
		}
		if st.Bytes > 0 {
			memory = humanize.IBytes(uint64(st.Bytes))
		}
		if st.Kept.On {
			kept = humanize.IBytes(uint64(st.Kept.Bytes))
		}
		if st.Loads > 0 {
			loaded = fmt.Sprintf("%d×, %v", st.Loads, st.LoadTime.Round(time.Millisecond))
		}
		name := st.Model.ID
		if st.Pinned {
			name += " (pinned)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", name, st.State, humanize.RelTime(st.Since, now, "ago", ""), pid, st.Active, st.Queued, pool, memory, kept, loaded)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, st := range o.Models {
		for _, say := range []string{strings.TrimSpace(st.Reason + " " + st.Hint), st.Kept.Off, st.Health.Warning} {
			switch {
			case say == "", st.State == infer.StateUnloaded && st.Reason == "":
			case len(o.Models) > 1:
				fmt.Fprintf(w, "%s: %s\n", st.Model.ID, say)
			default:
				fmt.Fprintln(w, say)
			}
		}
	}
	if m := o.Memory; m.Relief != "" {
		fmt.Fprintf(w, "Memory is scarce on this machine (%s). %s\n", m.Pressure, m.Relief)
	}
	return nil
}
