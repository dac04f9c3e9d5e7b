package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/engine/infer"
	"samovar/server/latency"
)

// psView is what ps tells: what is served, and the requests that run, the oldest first.
type psView struct {
	infer.Overview
	Requests []latency.Record `json:"requests"`
}

// psRecords is how many requests ps asks for; those that have ended are among them.
const psRecords = 1000

// ps says what the samovar that runs serves.
func ps(ctx context.Context, p Process, c running, asJSON bool) error {
	var s psView
	var all struct{ Requests []latency.Record }
	for path, into := range map[string]any{
		"/samovar/v1/engine": &s.Overview,
		fmt.Sprintf("/samovar/v1/requests?limit=%d", psRecords): &all,
	} {
		raw, err := c.ask(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("the server's answer is broken: %w", err)
		}
	}
	s.Requests = slices.DeleteFunc(all.Requests, func(r latency.Record) bool { return r.Outcome != latency.Running })
	slices.Reverse(s.Requests)
	if asJSON {
		return json.NewEncoder(p.Stdout).Encode(s)
	}
	now := time.Now()
	if err := printModels(p.Stdout, s.Overview, now); err != nil {
		return err
	}
	return printRequests(p.Stdout, s.Requests, now)
}

// printRequests prints a line about each request, if there are any.
func printRequests(w io.Writer, requests []latency.Record, now time.Time) error {
	if len(requests) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nREQUEST\tAGENT\tMODEL\tIS\tFOR\tPROMPT\tANSWER\t")
	for _, r := range requests {
		prompt := "–"
		if r.PromptTokens > 0 {
			prompt = fmt.Sprintf("%s of %s tokens", humanize.Comma(int64(r.CachedTokens+r.PrefilledTokens)), humanize.Comma(int64(r.PromptTokens)))
		}
		says := ""
		if r.Wait != nil {
			says = r.Wait.Text
			if left := time.Duration(r.Wait.EstimateMS * float64(time.Millisecond)); left > 0 {
				says += fmt.Sprintf(" About %v more.", max(left.Round(time.Second), time.Second))
			}
		}
		phase := cmp.Or(string(r.Phase), string(r.Outcome))
		line := fmt.Sprintf("%s\t%s\t%s\t%s\t%v\t%s\t%s\t%s", r.ID, cmp.Or(r.Agent, "–"), r.Model, phase, max(0, now.Sub(r.PhaseSince)).Round(time.Second),
			prompt, humanize.Comma(int64(r.CompletionTokens)), says)
		fmt.Fprintln(t, strings.TrimRight(line, "\t"))
	}
	return t.Flush()
}
