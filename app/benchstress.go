package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"samovar/app/bench"
	"samovar/app/bench/stress"
	"samovar/app/config"
	"samovar/app/paths"
	"samovar/engine"
)

// benchStress plays scenarios against a server, its own or another one, and
// judges them.
func benchStress(ctx context.Context, p Process, inv invocation, s config.Settings, where paths.Paths) (err error) {
	scenarios, err := stress.Choose(s.Bench.Scenario)
	if err != nil {
		return usageError{fmt.Errorf("--scenario: %w", err)}
	}
	if err := servesNothing(inv, s); err != nil {
		return err
	}
	var page *os.File
	if s.Bench.HTML != "" {
		// Now, not after an hour.
		if page, err = os.Create(s.Bench.HTML); err != nil {
			return usageError{fmt.Errorf("cannot write --html: %w", err)}
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	progress := newProgress(p.Stderr)
	defer progress.done()

	report := stress.Report{
		Version: engine.BuildVersion(), Machine: bench.ThisMachine(), API: stress.API(s.Bench.API),
		Quick: s.Bench.Quick, Slack: 1, Seed: stressSeed, Began: time.Now(),
	}
	play := func(t stress.Target) error { return playScenarios(ctx, &report, t, scenarios, progress) }
	if s.Bench.URL != "" {
		t := stress.Target{BaseURL: stress.BaseURL(s.Bench.URL), API: report.API, Key: apiKey(p, report.API)}
		report.Server = t.BaseURL
		err = play(t)
	} else {
		err = serveForBench(ctx, s, where, engine.Keep{}, progress, func(on served) error {
			report.Server = "served by the bench itself: " + on.status.Model.ID
			return play(stress.Target{BaseURL: on.base, API: report.API})
		})
	}
	if err != nil {
		return err
	}
	progress.done()
	return printStress(p, inv, report, page)
}

// stressSeed makes what is random in a scenario the same in each run.
const stressSeed = 1

// servesNothing refuses flags about a model to serve when none is served.
func servesNothing(inv invocation, s config.Settings) error {
	if s.Bench.URL == "" {
		return nil
	}
	for _, name := range []string{"model", "shape", "ctx", "kv", "kv-memory", "threads"} {
		if _, set := inv.flags[name]; set {
			return usageError{fmt.Errorf("--url and --%s exclude each other: the server there has its model already", name)}
		}
	}
	return nil
}

// apiKey is the one that the surface's own clients would send.
func apiKey(p Process, api stress.API) string {
	name := "OPENAI_API_KEY"
	if api == stress.Anthropic {
		name = "ANTHROPIC_API_KEY"
	}
	key, _ := p.LookupEnv(name)
	return key
}

func playScenarios(ctx context.Context, report *stress.Report, t stress.Target, scenarios []stress.Scenario, progress *progress) error {
	t, err := stress.Discover(ctx, t)
	if err != nil {
		return err
	}
	if err := stress.AwaitReady(ctx, t); err != nil {
		return err
	}
	size := stress.Full
	if report.Quick {
		size = stress.Quick
	}
	for _, scenario := range scenarios {
		result, err := stress.Run(ctx, scenario, stress.Options{
			Target: t, Size: size, Seed: report.Seed, Slack: report.Slack,
			Progress: func(what string) { progress.show(scenario.Name + ": " + what) },
		})
		if err != nil {
			return err
		}
		report.Add(result)
	}
	return nil
}

// printStress writes the report. A limit that did not hold is a failure of the
// command, too.
func printStress(p Process, inv invocation, r stress.Report, page *os.File) error {
	if page != nil {
		if err := r.Page().WriteHTML(page); err != nil {
			return fmt.Errorf("writing --html: %w", err)
		}
	}
	write := r.Page().WriteText
	if inv.json {
		write = r.WriteJSON
	}
	if err := write(p.Stdout); err != nil {
		return err
	}
	if failed, all := r.Failed(); failed > 0 {
		return fmt.Errorf("%d of %d limits did not hold", failed, all)
	}
	return nil
}
