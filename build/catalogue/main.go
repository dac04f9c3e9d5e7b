package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"samovar/engine/models/catalogue"
	"samovar/engine/models/hub"
)

func main() {
	write := flag.Bool("write", false, "write what was found into catalogue.json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Args(), *write); err != nil {
		fmt.Fprintln(os.Stderr, "catalogue:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, write bool) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	client := hub.New(hub.Options{Endpoint: os.Getenv("HF_ENDPOINT"), Token: hub.TokenFrom(os.LookupEnv, home)})
	defer client.Close()
	entries := catalogue.Entries()
	var wrong error
	for i, e := range entries {
		if len(names) > 0 && !slices.Contains(names, e.Name) {
			continue
		}
		now, err := compare(ctx, client, e)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", e.Name, err))
			continue
		}
		entries[i] = now
		fmt.Printf("%s: %d bytes, %s\n", e.Name, now.Bytes, now.SHA256)
	}
	if !write {
		return wrong
	}
	raw, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(wrong, os.WriteFile(filepath.Join("engine", "models", "catalogue", "catalogue.json"), append(raw, '\n'), 0o644))
}

// compare returns the entry as its source has it.
func compare(ctx context.Context, client *hub.Client, e catalogue.Entry) (catalogue.Entry, error) {
	ref, err := hub.ParseRef(e.Ref())
	if err != nil {
		return e, err
	}
	repo, err := client.Repo(ctx, ref.Repo, ref.Revision)
	if err != nil {
		return e, err
	}
	files, _, err := hub.Pick(repo, ref)
	if err != nil {
		return e, err
	}
	now := e
	now.Bytes, now.SHA256 = 0, files[0].SHA256
	for _, f := range files {
		now.Bytes += f.Size
	}
	if len(files) > 1 {
		now.SHA256 = "" // it has several
	}
	now.Checked = now.SHA256 != ""
	if e.Checked && (e.Bytes != now.Bytes || e.SHA256 != now.SHA256) {
		return now, fmt.Errorf("its source has changed: it has %d bytes and digest %s, not %d and %s", now.Bytes, now.SHA256, e.Bytes, e.SHA256)
	}
	return now, nil
}
