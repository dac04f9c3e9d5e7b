package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"samovar/app/config"
	"samovar/app/paths"
)

// Process is what a run gets from the operating system; main fills it in.
type Process struct {
	// Args are the arguments, without the program's name.
	Args           []string
	Stdout, Stderr io.Writer
	LookupEnv      func(string) (string, bool)
	// Page holds the dashboard's files; nil, or without an index.html, there is none.
	Page fs.FS
}

// Run does what the command line asks for and returns the exit code. It ends
// early, but in order, when ctx ends.
func Run(ctx context.Context, p Process) int {
	err := run(ctx, p)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "samovar: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return exitCode(err)
}

func run(ctx context.Context, p Process) error {
	inv, err := parse(p.Args, p.Stdout)
	if errors.Is(err, errHelpShown) {
		return nil
	}
	if err != nil {
		return err
	}
	if inv.command == cmdVersion {
		return printVersion(p.Stdout, inv.json)
	}
	if inv.command == cmdDoctor { // it is there for settings that are wrong, too
		return doctor(ctx, p, inv)
	}
	settings, where, err := resolve(inv.flags, p.LookupEnv)
	if err != nil && inv.bare {
		if a, lost := findAnother(ctx, where, 0, 0); lost == nil { // it serves with the settings from before
			return a.show(ctx, p, inv, settings, where, newLogger(p.Stderr, false), "")
		}
		// Whoever did not start it in a terminal sees only what the menu says.
		return menuBar(ctx, p, inv, settings, where, newLogger(p.Stderr, false), usageError{err})
	}
	if err != nil {
		return usageError{err}
	}
	log := newLogger(p.Stderr, settings.JSONLogs)
	switch inv.command {
	case cmdBenchDecode:
		return benchDecode(ctx, p, inv, tune(settings), where)
	case cmdBenchBatch:
		return benchBatch(ctx, p, inv, tune(settings), where)
	case cmdBenchResume:
		return benchResume(ctx, p, inv, tune(settings), where)
	case cmdBenchStress:
		return benchStress(ctx, p, inv, tune(settings), where)
	case cmdPS, cmdStart, cmdStop, cmdUnload, cmdRestart, cmdPin, cmdUnpin:
		return orderModels(ctx, p, inv, settings)
	}
	switch inv.command {
	case cmdOpen:
		return openCommand(ctx, p, inv, settings, where, log)
	case cmdWindow:
		return windowCommand(ctx, p, inv, settings, where, log)
	case cmdModels, cmdPull, cmdRemove, cmdSearch:
		return modelsCommand(ctx, p, inv, settings, where)
	}
	if inv.agents != (agentsCall{}) {
		return agents(ctx, p, inv, settings)
	}
	for inv.bare {
		err := menuBar(ctx, p, inv, settings, where, log, nil)
		var held *paths.HeldError
		if !errors.As(err, &held) {
			return err
		}
		if err = showAnother(ctx, p, inv, settings, where, log, held); !errors.Is(err, errGone) {
			return err
		}
	}
	return serve(ctx, p, inv, settings, where, log)
}

// resolve reads the layers. The settings file lies in the data folder if a
// flag or variable names one; a data folder that the file itself names moves
// everything but the file. With an error it returns what it knows of the places.
func resolve(flags map[string]string, lookupEnv func(string) (string, bool)) (config.Settings, paths.Paths, error) {
	strong := []config.Layer{config.FromFlags(flags), config.FromEnv(lookupEnv)}
	before, err := config.Resolve(strong...)
	if err != nil {
		return config.Settings{}, paths.Paths{}, err
	}
	where, err := paths.In(before.DataDir)
	if err != nil {
		return config.Settings{}, paths.Paths{}, err
	}
	file, err := config.FromFile(where.SettingsFile())
	if err != nil {
		return config.Settings{}, where, err
	}
	settings, err := config.Resolve(append(strong, file)...)
	if err != nil {
		return config.Settings{}, where, err
	}
	where, err = paths.In(settings.DataDir)
	if err != nil {
		return config.Settings{}, paths.Paths{}, err
	}
	return settings, where, nil
}

func newLogger(w io.Writer, asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: shortTime}))
}

// shortTime drops the date from the log that a person reads as it is written.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}
