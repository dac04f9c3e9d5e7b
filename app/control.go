package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

// control carries out ps, start, stop and restart.
func control(ctx context.Context, p Process, inv invocation, s config.Settings) error {
	c := running{base: "http://" + s.Addr}
	method, path := http.MethodGet, "/samovar/v1/engine"
	if inv.command != cmdPS {
		method, path = http.MethodPost, path+"/"+inv.command
	}
	raw, err := c.ask(ctx, method, path, nil)
	if err != nil {
		return err
	}
	if inv.json {
		_, err := p.Stdout.Write(raw)
		return err
	}
	var st infer.Status
	if err := json.Unmarshal(raw, &st); err != nil {
		return fmt.Errorf("the server's answer is broken: %w", err)
	}
	return printEngine(p.Stdout, st, time.Now())
}

// printEngine prints one line about a model, and what is worth knowing below it.
func printEngine(w io.Writer, st infer.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tSTATE\tSINCE\tPID\tRUNNING\tWAITING\tPOOL\tKEPT")
	pool := "–"
	if st.Pool.Cells > 0 {
		pool = fmt.Sprintf("%d of %d tokens", st.Pool.Used, st.Pool.Cells)
	}
	pid := "–"
	if st.WorkerPID > 0 {
		pid = fmt.Sprint(st.WorkerPID)
	}
	kept := "–"
	if st.Kept.On {
		kept = humanize.IBytes(uint64(st.Kept.Bytes))
	}
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", st.Model.ID, st.State, humanize.RelTime(st.Since, now, "ago", ""), pid, st.Active, st.Queued, pool, kept)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, say := range []string{strings.TrimSpace(st.Reason + " " + st.Hint), st.Kept.Off} {
		if say != "" {
			fmt.Fprintln(w, say)
		}
	}
	return nil
}
