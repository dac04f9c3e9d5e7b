package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"samovar/build/guide/eval"
)

const (
	exitReached = 0
	exitMissed  = 1
	exitFailed  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("guide-eval", flag.ContinueOnError)
	fs.SetOutput(stderr)
	url := fs.String("url", "http://127.0.0.1:7266", "base `URL` of the server, with or without /v1")
	model := fs.String("model", "", "`name` of the model; empty leaves it to the server")
	token := fs.String("token", "", "access `token`, if the server wants one")
	temperature := fs.Float64("temperature", 0, "sampling temperature; 0 is greedy")
	seed := fs.Uint("seed", 0, "sampling seed")
	concurrency := fs.Int("concurrency", 4, "requests at once")
	recall := fs.Int("recall", 100, "number of recall conversations; 0 for none, as always with -set dev")
	set := fs.String("set", "heldout", "questions to ask: heldout, or dev while training")
	asJSON := fs.Bool("json", false, "print the report as JSON, and the failures to standard error")
	out := fs.String("out", "", "also write the report as JSON to this `file`")
	page := fs.String("md", "", "also write the report as Markdown to this `file`")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitReached
		}
		return exitFailed
	}
	opts := eval.Options{
		Model: *model, Token: *token, Temperature: *temperature, Seed: uint32(*seed),
		Concurrency: *concurrency, Conversations: *recall,
		Progress: func(done, total int) {
			if done%20 == 0 || done == total {
				fmt.Fprintf(stderr, "%d of %d\n", done, total)
			}
		},
	}
	if *recall == 0 {
		opts.Conversations = eval.NoConversations
	}
	switch *set {
	case "heldout":
	case "dev":
		opts.Set, opts.Conversations = eval.Dev(), eval.NoConversations
	default:
		fmt.Fprintf(stderr, "guide-eval: -set is heldout or dev, not %q\n", *set)
		return exitFailed
	}
	report, err := eval.Run(ctx, *url, opts)
	if err == nil {
		err = write(report, *asJSON, *out, *page, stdout, stderr)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "guide-eval:", err)
		return exitFailed
	case !report.Reached():
		return exitMissed
	}
	return exitReached
}

func write(r eval.Report, asJSON bool, out, page string, stdout, stderr io.Writer) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if out != "" {
		if err := os.WriteFile(out, data, 0o644); err != nil {
			return err
		}
	}
	if page != "" {
		f, err := os.Create(page)
		if err != nil {
			return err
		}
		if err := errors.Join(r.WriteMarkdown(f), f.Close()); err != nil {
			return err
		}
	}
	if !asJSON {
		return r.WriteText(stdout)
	}
	if err := r.WriteText(stderr); err != nil {
		return err
	}
	_, err = stdout.Write(data)
	return err
}
